/**
 * What a device keeps: its messages, each once under (conversation, sequence), what it shares with the
 * user's other devices about conversations, the snapshot that stands for all of it, and its own sends
 * with their times. The client writes, the application reads.
 *
 * Rows and the snapshot after them are kept as one: a store that lost its tail has lost the snapshot
 * with it, syncs from the older one, and drops what it still has.
 */
import type { AccountChange } from "../protos/gen/tricampus/client/v1/account_codec.ts";
import type { ContactChange } from "../protos/gen/tricampus/client/v1/contact_codec.ts";
import type { Content } from "../protos/gen/tricampus/client/v1/content_codec.ts";
import type {
  ConversationSetting,
  GroupMembership,
  InboxMessage,
} from "../protos/gen/tricampus/client/v1/sync_codec.ts";
import { Book } from "./book.ts";

export interface StoredMessage extends InboxMessage {
  /** When this device got it: milliseconds since 1970, with fractions. */
  readonly receivedAtMs: number;
}

export interface Snapshot {
  readonly bytes: Uint8Array;
  /** Version of the inbox that it stands for. */
  readonly version: number;
}

export const EMPTY_SNAPSHOT: Snapshot = { bytes: new Uint8Array(0), version: 0 };

/** What one answer or push brought. */
export interface Rows {
  readonly messages: readonly StoredMessage[];
  readonly settings: readonly ConversationSetting[];
  readonly groups: readonly GroupMembership[];
  readonly account?: readonly AccountChange[];
  readonly contacts?: readonly ContactChange[];
  /** These are the first, or the last, of everything that the platform has. */
  readonly rebuild?: "begins" | "ends" | "begins and ends" | undefined;
}

/** What of it was new to the device. */
export interface NewRows {
  readonly messages: StoredMessage[];
  /** Messages that the device had and that are taken back now. */
  readonly recalled: { readonly conversationId: string; readonly sequence: number }[];
  readonly settings: ConversationSetting[];
  readonly groups: GroupMembership[];
  readonly account: readonly AccountChange[];
  readonly contacts: readonly ContactChange[];
}

export type Recipient =
  | { readonly userId: string }
  | { readonly groupId: string }
  | { readonly userName: string };

/** One message of this device's own, as far as it came. Times: milliseconds since 1970, fractions. */
export interface SendRecord {
  readonly clientMessageId: string;
  readonly to: Recipient;
  readonly text: string;
  readonly content?: Content | undefined;
  readonly sentAtMs: number;
  readonly outcome:
    | { readonly state: "open" }
    | {
        readonly state: "acknowledged";
        readonly atMs: number;
        readonly messageId: string;
        readonly conversationId: string;
        /** 0: accepted by a group and not yet numbered. */
        readonly sequence: number;
      }
    | { readonly state: "failed"; readonly atMs: number; readonly code: string };
}

export interface DeviceStore {
  readonly snapshot: Snapshot;
  /** Messages kept, and messages refused because another one had their message id. */
  readonly counts: { readonly messages: number; readonly doubles: number };
  readonly book: Book;
  /** Whose messages these are: at every log-in, before anything is added. */
  belongTo(userId: string): void;
  /** Keeps what is new, with the snapshot after it if there is one; returns what is new. */
  add(rows: Rows, snapshot: Snapshot | undefined): NewRows;
  /** Keeps a send, or its newer outcome. */
  recordSend(send: SendRecord): void;
  /** Sends whose outcome is open, oldest first. */
  openSends(): SendRecord[];
  sends(): Promise<SendRecord[]>;
  conversations(): Promise<string[]>;
  /** A conversation in its order: without what the user deleted, and without what was taken back. */
  messages(conversationId: string): Promise<StoredMessage[]>;
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Puts rows into a book: the same for every store. `each`: of the new messages. */
export function takeRows(
  book: Book,
  rows: Rows,
  each: (message: StoredMessage, taken: "new" | "double" | "recalled") => void,
): NewRows {
  if (rows.rebuild?.startsWith("begins")) book.beginRebuild();
  const messages: StoredMessage[] = [];
  const recalled: { conversationId: string; sequence: number }[] = [];
  for (const message of rows.messages) {
    const { conversationId, sequence, content } = message;
    const target = content?.body?.case === "recall" ? content.body.value.sequence : undefined;
    const had = target !== undefined && book.shown(conversationId, target) === "whole";
    const taken = book.take(message);
    if (taken === "known") continue;
    each(message, taken);
    if (taken === "new") messages.push(message);
    if (taken === "new" && had) recalled.push({ conversationId, sequence: target });
    if (taken === "recalled") recalled.push({ conversationId, sequence });
  }
  const settings = rows.settings.filter((setting) => book.set(setting));
  const groups = rows.groups.filter((group) => book.setMembership(group));
  const { account = [], contacts = [] } = rows;
  for (const change of account) book.account.apply(change);
  for (const change of contacts) book.contacts.apply(change);
  if (rows.rebuild?.endsWith("ends")) book.endRebuild();
  return { messages, recalled, settings, groups, account, contacts };
}

/** A conversation as a device shows it, of all messages it was ever sent. */
export function shownInOrder(book: Book, messages: readonly StoredMessage[]): StoredMessage[] {
  const shown: StoredMessage[] = [];
  for (const message of messages) {
    const how = book.shown(message.conversationId, message.sequence);
    if (how === "whole") shown.push(message);
    if (how === "recalled")
      shown.push({ ...message, text: "", content: undefined, recalled: true });
  }
  return shown.sort((a, b) => a.sequence - b.sequence);
}

export class MemoryStore implements DeviceStore {
  snapshot: Snapshot = EMPTY_SNAPSHOT;
  readonly book = new Book();
  readonly #messages = new Map<string, StoredMessage[]>();
  readonly #sends = new Map<string, SendRecord>();

  get counts(): { messages: number; doubles: number } {
    return this.book;
  }

  belongTo(userId: string): void {
    requireSameOwner(this, userId);
    this.book.ownId = userId;
  }

  add(rows: Rows, snapshot: Snapshot | undefined): NewRows {
    const fresh = takeRows(this.book, rows, (message, taken) => {
      if (taken !== "new") return;
      const conversation = this.#messages.get(message.conversationId);
      if (conversation === undefined) this.#messages.set(message.conversationId, [message]);
      else conversation.push(message);
    });
    if (snapshot !== undefined)
      this.snapshot = { ...snapshot, bytes: new Uint8Array(snapshot.bytes) };
    return fresh;
  }

  recordSend(send: SendRecord): void {
    this.#sends.set(send.clientMessageId, send);
  }

  openSends(): SendRecord[] {
    return [...this.#sends.values()].filter((send) => send.outcome.state === "open");
  }

  async sends(): Promise<SendRecord[]> {
    return [...this.#sends.values()];
  }

  async conversations(): Promise<string[]> {
    return this.book.ids();
  }

  async messages(conversationId: string): Promise<StoredMessage[]> {
    return shownInOrder(this.book, this.#messages.get(conversationId) ?? []);
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}
}

/** What a store holds is one user's: contacts, groups and settings as much as messages. */
export function requireSameOwner(store: DeviceStore, userId: string): void {
  const { book, snapshot } = store;
  // Nobody's: what was sent before the first log-in.
  if (book.ownId === userId || book.ownId === "") return;
  if (book.isEmpty && snapshot.bytes.length === 0 && store.openSends().length === 0) return;
  throw new Error(`this store holds what is ${book.ownId}'s: ${userId} needs another`);
}
