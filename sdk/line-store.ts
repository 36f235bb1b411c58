/**
 * A store that keeps what it is told as lines, one after the other (device-lines.ts), wherever lines can
 * be appended and read again. In memory is only what a book keeps of the messages.
 */
import { Book } from "./book.ts";
import {
  type DeviceLine,
  FORMAT,
  messageLine,
  partLine,
  sendLine,
  settingLine,
  snapshotLine,
} from "./device-lines.ts";
import {
  type DeviceStore,
  EMPTY_SNAPSHOT,
  type NewRows,
  type Rows,
  requireSameOwner,
  type SendRecord,
  type Snapshot,
  type StoredMessage,
  shownInOrder,
  takeRows,
} from "./store.ts";

/** As JSON, in a new store: what the others are lines of. */
export const FIRST_LINE = JSON.stringify(["device", FORMAT]);

export abstract class LineStore implements DeviceStore {
  readonly book = new Book();
  readonly #open = new Map<string, SendRecord>();
  #snapshot: Snapshot = EMPTY_SNAPSHOT;

  /** Keeps a line, JSON without its end, behind all others; throws when it cannot any more. */
  protected abstract append(line: string): void;
  /** All lines, those that were appended last included. */
  protected abstract read(): Promise<DeviceLine[]>;
  abstract flush(): Promise<void>;
  abstract close(): Promise<void>;

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  get counts(): { messages: number; doubles: number } {
    return this.book;
  }

  belongTo(userId: string): void {
    requireSameOwner(this, userId);
    if (this.book.ownId === userId) return;
    this.book.ownId = userId;
    this.#keep(["u", userId]);
  }

  add(rows: Rows, snapshot: Snapshot | undefined): NewRows {
    const begins = rows.rebuild?.startsWith("begins") === true;
    if (begins) this.#keep(["b"]);
    // What came anew stays when a rebuild ends, in the run that reads these lines, too.
    const comesAnew = begins || this.book.isRebuilding;
    const fresh = takeRows(this.book, rows, (message, taken) => {
      const { conversationId, sequence, messageId } = message;
      if (taken === "new") this.#keep(messageLine(message));
      else if (taken === "double") this.#keep(["d", conversationId, sequence, messageId]);
      else this.#keep(["r", conversationId, sequence]);
    });
    const { settings, groups } = comesAnew ? rows : fresh;
    for (const setting of settings) this.#keep(settingLine(setting));
    for (const { groupId, sinceSequence } of groups) this.#keep(["g", groupId, sinceSequence]);
    for (const change of fresh.contacts) this.#keep(partLine("k", change));
    for (const change of fresh.account) this.#keep(partLine("y", change));
    if (rows.rebuild?.endsWith("ends")) this.#keep(["e"]);
    if (snapshot !== undefined) {
      const bytes = new Uint8Array(snapshot.bytes);
      this.#snapshot = { bytes, version: snapshot.version };
      this.#keep(snapshotLine(snapshot));
    }
    return fresh;
  }

  recordSend(send: SendRecord): void {
    const { clientMessageId, outcome } = send;
    if (outcome.state === "open") {
      if (this.#open.has(clientMessageId)) return;
      this.#open.set(clientMessageId, send);
    } else {
      this.#open.delete(clientMessageId);
    }
    this.#keep(sendLine(send));
  }

  openSends(): SendRecord[] {
    return [...this.#open.values()];
  }

  async sends(): Promise<SendRecord[]> {
    return sendsIn(await this.read());
  }

  async conversations(): Promise<string[]> {
    return this.book.ids();
  }

  async messages(conversationId: string): Promise<StoredMessage[]> {
    const found: StoredMessage[] = [];
    for (const line of await this.read()) {
      if (line.kind === "message" && line.message.conversationId === conversationId)
        found.push(line.message);
    }
    return shownInOrder(this.book, found);
  }

  /** What an earlier run kept, line by line. */
  protected restore(line: DeviceLine): void {
    switch (line.kind) {
      case "owner":
        this.book.ownId = line.userId;
        return;
      case "message":
        this.book.take(line.message);
        return;
      case "setting":
        this.book.set(line.setting);
        return;
      case "group":
        this.book.setMembership(line.group);
        return;
      case "contacts":
        this.book.contacts.apply(line.change);
        return;
      case "account":
        this.book.account.apply(line.change);
        return;
      case "rebuild begins":
        this.book.beginRebuild();
        return;
      case "rebuild ends":
        this.book.endRebuild();
        return;
      case "snapshot":
        this.#snapshot = line.snapshot;
        return;
      case "send":
        this.#open.set(line.send.clientMessageId, line.send);
        return;
      case "acknowledged":
      case "failed":
        this.#open.delete(line.clientMessageId);
        return;
      case "double":
        this.book.restoreDouble(line.conversationId, line.sequence);
        return;
      case "recalled":
        this.book.recall(line.conversationId, line.sequence);
        return;
    }
  }

  #keep(line: readonly unknown[]): void {
    this.append(JSON.stringify(line));
  }
}

/** A device's sends, each with the newest outcome that its lines tell. */
export function sendsIn(lines: readonly DeviceLine[]): SendRecord[] {
  const sends = new Map<string, SendRecord>();
  for (const line of lines) {
    if (line.kind === "send") sends.set(line.send.clientMessageId, line.send);
    if (line.kind !== "acknowledged" && line.kind !== "failed") continue;
    const send = sends.get(line.clientMessageId);
    if (send !== undefined) sends.set(line.clientMessageId, { ...send, outcome: line.outcome });
  }
  return [...sends.values()];
}
