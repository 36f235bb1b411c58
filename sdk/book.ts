/**
 * What a device knows of its conversations, made from the rows it was sent: which messages it has,
 * what is unread, pinned, muted, taken back, deleted. In memory and without the messages' bodies; every
 * store keeps one, and gets it back by putting its rows through it again. Pure.
 *
 * Rows may come in any order and more than once: numbers only rise, sets only grow, and what else is
 * set comes as it is now.
 */
import type {
  ConversationSetting,
  GroupMembership,
  InboxMessage,
} from "../protos/gen/tricampus/client/v1/sync_codec.ts";
import { isMemberAfter } from "../services/data/inbox/client.ts";
import { hasBug } from "../services/svrkit/planted.ts";
import { AccountBook } from "./account-book.ts";
import { ContactBook } from "./contact-book.ts";
import { Conversation, type ConversationSummary } from "./conversation.ts";

export type Taken = "new" | "known" | "double" | "recalled";

const RECENT_IDS_MAX = 32;

export interface ListOptions {
  readonly limit?: number;
  /** The last one of the page before. */
  readonly after?: ConversationSummary;
}

export class Book {
  readonly account = new AccountBook();
  readonly contacts = new ContactBook();
  readonly #conversations = new Map<string, Conversation>();
  readonly #groups = new Map<string, number>();
  /** By group: the newest notice about the own membership. */
  readonly #noticedAt = new Map<string, number>();
  /** Two generations: the older one is dropped whole when the younger is full. */
  #recentIds = new Set<string>();
  #olderIds = new Set<string>();
  /** What a rebuild has brought so far: the rest is gone when it ends. */
  #rebuilt: { settings: Set<string>; groups: Set<string> } | undefined;
  /** Whose device it is: messages of this user are never unread. */
  ownId = "";
  messages = 0;
  doubles = 0;

  /**
   * "double": the sequence number is new, but a recent message had the same message id. The platform
   * promises that this never happens; it is counted and kept from the application, not hidden.
   * "recalled": it was known, and is now known to be taken back.
   */
  take(message: InboxMessage): Taken {
    const conversation = this.#conversation(message.conversationId);
    const { content } = message;
    if (!conversation.add(message.sequence)) {
      return message.recalled && conversation.recall(message.sequence) ? "recalled" : "known";
    }
    if (this.#recentIds.has(message.messageId) || this.#olderIds.has(message.messageId)) {
      this.doubles += 1;
      return "double";
    }
    this.#remember(message.messageId);
    this.messages += 1;
    conversation.took(message, this.ownId);
    if (content?.body?.case === "recall" && !hasBug("recall-not-shown"))
      conversation.recall(content.body.value.sequence);
    this.#noticed(message);
    return "new";
  }

  /** A push brings the notice of a join or leave, and not what it makes of the membership. */
  #noticed(message: InboxMessage): void {
    const isMember = isMemberAfter(message, this.ownId);
    if (isMember === undefined) return;
    const { conversationId: groupId, sequence } = message;
    if ((this.#noticedAt.get(groupId) ?? 0) > sequence) return;
    this.#noticedAt.set(groupId, sequence);
    if (isMember) this.#groups.set(groupId, sequence);
    else this.#groups.delete(groupId);
  }

  #remember(messageId: string): void {
    this.#recentIds.add(messageId);
    if (this.#recentIds.size < RECENT_IDS_MAX) return;
    this.#olderIds = this.#recentIds;
    this.#recentIds = new Set();
  }

  /** A recall found by an earlier run. */
  recall(conversationId: string, sequence: number): void {
    this.#conversation(conversationId).recall(sequence);
  }

  /** A double found by an earlier run. */
  restoreDouble(conversationId: string, sequence: number): void {
    this.#conversation(conversationId).add(sequence);
    this.doubles += 1;
  }

  /** false: nothing is different. */
  set({ conversationId, setting }: ConversationSetting): boolean {
    if (setting === undefined) return false;
    this.#rebuilt?.settings.add(`${setting.case} ${conversationId}`);
    return this.#conversation(conversationId).set(setting);
  }

  setMembership({ groupId, sinceSequence }: GroupMembership): boolean {
    this.#rebuilt?.groups.add(groupId);
    if ((this.#groups.get(groupId) ?? 0) === sinceSequence) return false;
    if (sinceSequence === 0) this.#groups.delete(groupId);
    else this.#groups.set(groupId, sinceSequence);
    return true;
  }

  /** Everything comes anew, and not all of it has come. */
  get isRebuilding(): boolean {
    return this.#rebuilt !== undefined;
  }

  beginRebuild(): void {
    this.#rebuilt = { settings: new Set(), groups: new Set() };
  }

  /** Settings and groups that did not come again are gone. */
  endRebuild(): void {
    const rebuilt = this.#rebuilt;
    this.#rebuilt = undefined;
    if (rebuilt === undefined) return;
    for (const groupId of this.#groups.keys()) {
      if (!rebuilt.groups.has(groupId)) this.#groups.delete(groupId);
    }
    for (const [id, conversation] of this.#conversations) {
      conversation.keepSettings((name) => rebuilt.settings.has(`${name} ${id}`));
    }
  }

  /** Groups that the user is a member of, and since which sequence number. */
  get groups(): ReadonlyMap<string, number> {
    return this.#groups;
  }

  get isEmpty(): boolean {
    const { account, contacts } = this;
    const hasRows = this.#conversations.size > 0 || this.#groups.size > 0;
    return !hasRows && account.isEmpty && contacts.isEmpty;
  }

  ids(): string[] {
    return [...this.#conversations.keys()];
  }

  /** Whether a device shows the message, and with its body. */
  shown(conversationId: string, sequence: number): "whole" | "recalled" | "hidden" {
    return this.#conversations.get(conversationId)?.shown(sequence) ?? "whole";
  }

  summary(conversationId: string): ConversationSummary | undefined {
    return this.#conversations.get(conversationId)?.summary();
  }

  /** Pinned ones first, then those with the newest messages. */
  list({ limit = 50, after }: ListOptions = {}): ConversationSummary[] {
    const all: ConversationSummary[] = [];
    for (const conversation of this.#conversations.values()) {
      if (!conversation.isListed) continue;
      const summary = conversation.summary();
      if (after === undefined || comparePlaces(after, summary) < 0) all.push(summary);
    }
    return all.sort(comparePlaces).slice(0, limit);
  }

  /** Over all conversations that are not muted. */
  get unread(): number {
    let unread = 0;
    for (const conversation of this.#conversations.values()) {
      if (!conversation.isMuted) unread += conversation.unread;
    }
    return unread;
  }

  #conversation(id: string): Conversation {
    let conversation = this.#conversations.get(id);
    if (conversation === undefined) {
      conversation = new Conversation(id);
      this.#conversations.set(id, conversation);
    }
    return conversation;
  }
}

function comparePlaces(a: ConversationSummary, b: ConversationSummary): number {
  if (a.pinnedAtMs !== b.pinnedAtMs) return b.pinnedAtMs - a.pinnedAtMs;
  if (a.lastAtMs !== b.lastAtMs) return b.lastAtMs - a.lastAtMs;
  return a.conversationId < b.conversationId ? -1 : 1;
}
