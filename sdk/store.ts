/**
 * What a device keeps: its messages, each once under (conversation, sequence), the snapshot that
 * stands for them, and its own sends with their times. The client writes, the application reads.
 *
 * Messages and the snapshot after them are kept as one: a store that lost its tail has lost the
 * snapshot with it, syncs from the older one, and drops what it still has.
 */
import type { InboxMessage } from "../protos/gen/tricampus/client/v1/sync_codec.ts";
import { SequenceSet } from "./sequence-set.ts";

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

export type Recipient =
  | { readonly userId: string }
  | { readonly groupId: string }
  | { readonly userName: string };

/** One message of this device's own, as far as it came. Times: milliseconds since 1970, fractions. */
export interface SendRecord {
  readonly clientMessageId: string;
  readonly to: Recipient;
  readonly text: string;
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
  /** Keeps those that are new, with the snapshot after them if there is one; returns the new ones. */
  add(messages: readonly StoredMessage[], snapshot: Snapshot | undefined): StoredMessage[];
  /** Keeps a send, or its newer outcome. */
  recordSend(send: SendRecord): void;
  /** Sends whose outcome is open, oldest first. */
  openSends(): SendRecord[];
  sends(): Promise<SendRecord[]>;
  conversations(): Promise<string[]>;
  /** A conversation in its order. */
  messages(conversationId: string): Promise<StoredMessage[]>;
  flush(): Promise<void>;
  close(): Promise<void>;
}

const RECENT_IDS_MAX = 32;

/** Which messages a device has, without the messages. */
export class MessageIndex {
  readonly #conversations = new Map<string, SequenceSet>();
  /** Two generations: the older one is dropped whole when the younger is full. */
  #recentIds = new Set<string>();
  #olderIds = new Set<string>();
  messages = 0;
  doubles = 0;

  /**
   * "double": the sequence number is new, but a recent message had the same message id. The platform
   * promises that this never happens; it is counted and kept from the application, not hidden.
   */
  take(message: InboxMessage): "new" | "known" | "double" {
    if (!this.#sequences(message.conversationId).add(message.sequence)) return "known";
    if (this.#recentIds.has(message.messageId) || this.#olderIds.has(message.messageId)) {
      this.doubles += 1;
      return "double";
    }
    this.#recentIds.add(message.messageId);
    if (this.#recentIds.size >= RECENT_IDS_MAX) {
      this.#olderIds = this.#recentIds;
      this.#recentIds = new Set();
    }
    this.messages += 1;
    return "new";
  }

  /** A double found by an earlier run. */
  restoreDouble(conversationId: string, sequence: number): void {
    this.#sequences(conversationId).add(sequence);
    this.doubles += 1;
  }

  conversations(): string[] {
    return [...this.#conversations.keys()];
  }

  #sequences(conversationId: string): SequenceSet {
    let sequences = this.#conversations.get(conversationId);
    if (sequences === undefined) {
      sequences = new SequenceSet();
      this.#conversations.set(conversationId, sequences);
    }
    return sequences;
  }
}

export class MemoryStore implements DeviceStore {
  snapshot: Snapshot = EMPTY_SNAPSHOT;
  readonly #index = new MessageIndex();
  readonly #messages = new Map<string, StoredMessage[]>();
  readonly #sends = new Map<string, SendRecord>();

  get counts(): { messages: number; doubles: number } {
    return this.#index;
  }

  add(messages: readonly StoredMessage[], snapshot: Snapshot | undefined): StoredMessage[] {
    const fresh = messages.filter((message) => this.#index.take(message) === "new");
    for (const message of fresh) {
      const conversation = this.#messages.get(message.conversationId);
      if (conversation === undefined) this.#messages.set(message.conversationId, [message]);
      else conversation.push(message);
    }
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
    return [...this.#messages.keys()];
  }

  async messages(conversationId: string): Promise<StoredMessage[]> {
    return inOrder(this.#messages.get(conversationId) ?? []);
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}
}

export function inOrder(messages: readonly StoredMessage[]): StoredMessage[] {
  return messages.toSorted((a, b) => a.sequence - b.sequence);
}
