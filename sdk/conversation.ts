/** One conversation as a device knows it; see book.ts. Pure. */
import type {
  ConversationSetting,
  InboxMessage,
} from "../protos/gen/tricampus/client/v1/sync_codec.ts";
import { SequenceSet } from "./sequence-set.ts";

const PREVIEW_CHARACTERS = 120;

export interface ConversationSummary {
  readonly conversationId: string;
  /** The newest message that is shown: its beginning, and what else it holds. */
  readonly lastSequence: number;
  readonly lastText: string;
  readonly lastKind: string;
  readonly lastSenderId: string;
  /** Milliseconds since 1970; 0 when there is no message. */
  readonly lastAtMs: number;
  /** Messages of others that the user has not read. */
  readonly unread: number;
  /** One of them speaks to the user, or to all. */
  readonly mentioned: boolean;
  readonly readSequence: number;
  /** How far the other side of a 1:1 conversation has read, if it tells. */
  readonly peerReadSequence: number;
  /** 0: not pinned. */
  readonly pinnedAtMs: number;
  readonly muted: boolean;
  readonly draft: string;
}

type Setting = NonNullable<ConversationSetting["setting"]>;

interface Last {
  readonly sequence: number;
  readonly text: string;
  readonly kind: string;
  readonly senderId: string;
  readonly atMs: number;
}

const NOTHING: Last = { sequence: 0, text: "", kind: "", senderId: "", atMs: 0 };

export class Conversation {
  readonly #id: string;
  readonly #sequences = new SequenceSet();
  readonly #unread = new Set<number>();
  readonly #mentions = new Set<number>();
  readonly #hidden = new Set<number>();
  readonly #recalled = new Set<number>();
  #last: Last = NOTHING;
  #read = 0;
  #peerRead = 0;
  #cleared = 0;
  #pinnedAtMs = 0;
  #draft = "";
  isMuted = false;

  constructor(id: string) {
    this.#id = id;
  }

  get unread(): number {
    return this.#unread.size;
  }

  /** Deleted ones come back with their next message; a draft or a pin keeps one in the list. */
  get isListed(): boolean {
    return this.#last.sequence > this.#cleared || this.#pinnedAtMs > 0 || this.#draft !== "";
  }

  /** false: the message was there already. */
  add(sequence: number): boolean {
    return this.#sequences.add(sequence);
  }

  /** A message that was not there before. */
  took(message: InboxMessage, ownId: string): void {
    const { sequence } = message;
    if (message.recalled) this.#recalled.add(sequence);
    const isShown = this.shown(sequence) !== "hidden";
    if (isShown && isCounted(message, ownId) && this.shown(sequence) === "whole") {
      if (sequence > this.#read) {
        this.#unread.add(sequence);
        if (mentions(message, ownId)) this.#mentions.add(sequence);
      }
    }
    if (isShown && sequence > this.#last.sequence) this.#last = lastOf(message);
    if (this.#recalled.has(this.#last.sequence)) this.#last = { ...this.#last, text: "" };
  }

  /** false: it was known. */
  recall(sequence: number): boolean {
    if (this.#recalled.has(sequence)) return false;
    this.#recalled.add(sequence);
    this.#noLongerUnread(sequence);
    if (this.#last.sequence === sequence)
      this.#last = { ...this.#last, text: "", kind: "recalled" };
    return true;
  }

  shown(sequence: number): "whole" | "recalled" | "hidden" {
    if (sequence <= this.#cleared || this.#hidden.has(sequence)) return "hidden";
    return this.#recalled.has(sequence) ? "recalled" : "whole";
  }

  /** false: nothing is different. */
  set(setting: Setting): boolean {
    switch (setting.case) {
      case "readSequence":
        return this.#readTo(setting.value);
      case "peerReadSequence":
        if (setting.value <= this.#peerRead) return false;
        this.#peerRead = setting.value;
        return true;
      case "clearedSequence":
        return this.#clearTo(setting.value);
      case "hiddenSequence":
        return this.#hide(setting.value);
      case "pinnedAtMs":
        if (setting.value === this.#pinnedAtMs) return false;
        this.#pinnedAtMs = setting.value;
        return true;
      case "muted":
        if (setting.value === this.isMuted) return false;
        this.isMuted = setting.value;
        return true;
      case "draft":
        if (setting.value === this.#draft) return false;
        this.#draft = setting.value;
        return true;
    }
  }

  /** What does not stay is as if it had never been set; positions never fall. */
  keepSettings(stays: (name: Setting["case"]) => boolean): void {
    if (!stays("pinnedAtMs")) this.#pinnedAtMs = 0;
    if (!stays("muted")) this.isMuted = false;
    if (!stays("draft")) this.#draft = "";
  }

  summary(): ConversationSummary {
    const isCleared = this.#last.sequence <= this.#cleared;
    const last = isCleared ? { ...NOTHING, atMs: this.#last.atMs } : this.#last;
    return {
      conversationId: this.#id,
      ...{ lastSequence: last.sequence, lastText: last.text, lastKind: last.kind },
      ...{ lastSenderId: last.senderId, lastAtMs: last.atMs },
      ...{ unread: this.#unread.size, mentioned: this.#mentions.size > 0 },
      ...{ readSequence: this.#read, peerReadSequence: this.#peerRead },
      ...{ pinnedAtMs: this.#pinnedAtMs, muted: this.isMuted, draft: this.#draft },
    };
  }

  #readTo(sequence: number): boolean {
    if (sequence <= this.#read) return false;
    this.#read = sequence;
    this.#noLongerUnreadTo(sequence);
    return true;
  }

  #clearTo(sequence: number): boolean {
    if (sequence <= this.#cleared) return false;
    this.#cleared = sequence;
    this.#noLongerUnreadTo(sequence);
    return true;
  }

  #hide(sequence: number): boolean {
    if (this.#hidden.has(sequence)) return false;
    this.#hidden.add(sequence);
    this.#noLongerUnread(sequence);
    if (this.#last.sequence === sequence) this.#last = { ...this.#last, text: "", kind: "deleted" };
    return true;
  }

  #noLongerUnread(sequence: number): void {
    this.#unread.delete(sequence);
    this.#mentions.delete(sequence);
  }

  #noLongerUnreadTo(through: number): void {
    for (const sequence of this.#unread) if (sequence <= through) this.#noLongerUnread(sequence);
  }
}

/** Whether the message counts as unread until it is read: what people say, and others than oneself. */
function isCounted(message: InboxMessage, ownId: string): boolean {
  const { senderId, notice, content } = message;
  return senderId !== ownId && notice === undefined && content?.body?.case !== "recall";
}

function mentions({ content }: InboxMessage, ownId: string): boolean {
  return content !== undefined && (content.mentionsAll || content.mentions.includes(ownId));
}

function lastOf(message: InboxMessage): Last {
  const { sequence, senderId, acceptedAtMs: atMs, notice, content, recalled } = message;
  const kind = recalled
    ? "recalled"
    : notice !== undefined
      ? "notice"
      : (content?.body?.case ?? "text");
  return { sequence, text: message.text.slice(0, PREVIEW_CHARACTERS), kind, senderId, atMs };
}
