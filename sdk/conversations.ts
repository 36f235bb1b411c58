/**
 * The user's conversations: the list, what is unread, and what the user's devices share about them. The
 * list is the device's own (book.ts); what is changed here reaches the other devices through the inbox.
 */
import { Conversation } from "../protos/gen/tricampus/client/v1/conversation_codec.ts";
import type {
  ConversationSetting,
  InboxMessage,
} from "../protos/gen/tricampus/client/v1/sync_codec.ts";
import type { ListOptions } from "./book.ts";
import type { ConversationSummary } from "./conversation.ts";
import { REQUEST_OPTIONS, type Requester } from "./requester.ts";
import type { DeviceStore } from "./store.ts";

const SETTINGS_AT_ONCE_MAX = 100;

type Setting = NonNullable<ConversationSetting["setting"]>;

export class Conversations {
  readonly #link: Requester;
  readonly #store: DeviceStore;
  /** Positions that rose while the request before was on its way. */
  readonly #reads = new Map<string, number>();
  #reading: Promise<void> | undefined;

  constructor(link: Requester, store: DeviceStore) {
    this.#link = link;
    this.#store = store;
  }

  /** Pinned ones first, then by their newest messages; page by page. */
  list(options: ListOptions = {}): ConversationSummary[] {
    return this.#store.book.list(options);
  }

  get(conversationId: string): ConversationSummary | undefined {
    return this.#store.book.summary(conversationId);
  }

  /** Unread messages of all conversations that are not muted. */
  get unread(): number {
    return this.#store.book.unread;
  }

  /**
   * The user has read everything up to `sequence`, else up to the newest message. Resolves when the
   * user's other devices will know. Many calls make few requests.
   */
  markRead(conversationId: string, sequence?: number): Promise<void> {
    const through = sequence ?? this.get(conversationId)?.lastSequence ?? 0;
    if (through <= (this.get(conversationId)?.readSequence ?? 0)) return Promise.resolve();
    this.#reads.set(conversationId, Math.max(through, this.#reads.get(conversationId) ?? 0));
    this.#reading ??= this.#tellReads().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #tellReads(): Promise<void> {
    // One turn later: what is marked together goes together.
    await Promise.resolve();
    while (this.#reads.size > 0) {
      const next = [...this.#reads].slice(0, SETTINGS_AT_ONCE_MAX);
      for (const [conversationId] of next) this.#reads.delete(conversationId);
      const settings = next.map(([conversationId, value]): ConversationSetting => {
        return { conversationId, setting: { case: "readSequence", value } };
      });
      await this.#setAll(settings);
    }
  }

  pin(conversationId: string, pinned: boolean): Promise<void> {
    return this.#set(conversationId, { case: "pinnedAtMs", value: pinned ? Date.now() : 0 });
  }

  /** No pushes to devices that are offline, and not counted in `unread`. */
  mute(conversationId: string, muted: boolean): Promise<void> {
    return this.#set(conversationId, { case: "muted", value: muted });
  }

  setDraft(conversationId: string, draft: string): Promise<void> {
    return this.#set(conversationId, { case: "draft", value: draft });
  }

  /**
   * Deletes everything up to now, with draft and pin, which would keep it in the list; on the user's devices
   * alone. The next message brings it back.
   */
  async delete(conversationId: string): Promise<void> {
    const { lastSequence = 0, pinnedAtMs = 0, draft = "" } = this.get(conversationId) ?? {};
    const settings: Setting[] = [];
    if (lastSequence > 0) settings.push({ case: "clearedSequence", value: lastSequence });
    if (pinnedAtMs > 0) settings.push({ case: "pinnedAtMs", value: 0 });
    if (draft !== "") settings.push({ case: "draft", value: "" });
    if (settings.length === 0) return;
    await this.#setAll(settings.map((setting) => ({ conversationId, setting })));
  }

  /** Deletes one message, on the user's devices alone. */
  deleteMessage(conversationId: string, sequence: number): Promise<void> {
    return this.#set(conversationId, { case: "hiddenSequence", value: sequence });
  }

  /** Which members of a group have read a message. */
  readBy(groupId: string, sequence: number): Promise<{ userIds: string[]; members: number }> {
    return this.#link.request(Conversation.readBy, { groupId, sequence }, REQUEST_OPTIONS);
  }

  /** What the platform still keeps, newest first; not put into the store. */
  history(
    conversationId: string,
    { before = 0, limit = 50 }: { before?: number; limit?: number } = {},
  ): Promise<{ messages: InboxMessage[]; more: boolean }> {
    const request = { conversationId, beforeSequence: before, limit };
    return this.#link.request(Conversation.history, request, REQUEST_OPTIONS);
  }

  #set(conversationId: string, setting: Setting): Promise<void> {
    return this.#setAll([{ conversationId, setting }]);
  }

  async #setAll(settings: readonly ConversationSetting[]): Promise<void> {
    await this.#link.request(Conversation.set, { settings: [...settings] }, REQUEST_OPTIONS);
    this.#store.add({ messages: [], settings, groups: [] }, undefined);
  }
}
