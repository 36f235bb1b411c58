/**
 * A device's store as one append-only file of JSON lines (device-lines.ts), for Node. Messages stay in
 * the file; in memory is only what a book keeps of them, so that thousands of devices fit into one
 * process.
 *
 * Writes are gathered for FLUSH_EVERY_MS. A line torn by a crash is cut off when the file is opened;
 * a damaged line anywhere else is an error, never skipped.
 */
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  write,
} from "node:fs";
import { promisify } from "node:util";
import { Book } from "./book.ts";
import {
  type DeviceLine,
  FORMAT,
  messageLine,
  parseLine,
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
import { startTicking, type Ticking } from "./ticker.ts";

const FLUSH_EVERY_MS = 1_000;
const FLUSH_CHARACTERS = 64 * 1024;
/** What may wait for a disk that is slower than the platform. */
const PENDING_CHARACTERS_MAX = 64 * 1024 * 1024;

const writeAsync = promisify(write);

export class FileStore implements DeviceStore, Ticking {
  readonly path: string;
  readonly #file: number;
  readonly book = new Book();
  readonly #open = new Map<string, SendRecord>();
  readonly #stopTicking: () => void;
  #snapshot: Snapshot = EMPTY_SNAPSHOT;
  #pending = "";
  #flushAtMs = 0;
  /** The write under way. */
  #writing: Promise<void> | undefined;
  #failure: Error | undefined;
  #closed = false;

  /** Opens or makes the file; throws when it cannot be used or is damaged. */
  constructor(path: string) {
    this.path = path;
    this.#file = openSync(path, "a+", 0o600);
    const { lines, goodBytes, bytes } = readLines(path);
    if (goodBytes < bytes) ftruncateSync(this.#file, goodBytes);
    for (const line of lines) this.#restore(line);
    if (goodBytes === 0) this.#append(["device", FORMAT]);
    this.#stopTicking = startTicking(this);
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  get counts(): { messages: number; doubles: number } {
    return this.book;
  }

  belongTo(userId: string): void {
    requireSameOwner(this.book, userId);
    if (this.book.ownId === userId) return;
    this.book.ownId = userId;
    this.#append(["u", userId]);
  }

  add(rows: Rows, snapshot: Snapshot | undefined): NewRows {
    if (rows.rebuild?.startsWith("begins")) this.#append(["b"]);
    const fresh = takeRows(this.book, rows, (message, taken) => {
      const { conversationId, sequence, messageId } = message;
      if (taken === "new") this.#append(messageLine(message));
      else if (taken === "double") this.#append(["d", conversationId, sequence, messageId]);
      else this.#append(["r", conversationId, sequence]);
    });
    for (const setting of fresh.settings) this.#append(settingLine(setting));
    for (const { groupId, sinceSequence } of fresh.groups)
      this.#append(["g", groupId, sinceSequence]);
    for (const change of fresh.contacts) this.#append(partLine("k", change));
    for (const change of fresh.account) this.#append(partLine("y", change));
    if (rows.rebuild?.endsWith("ends")) this.#append(["e"]);
    if (snapshot !== undefined) {
      const bytes = Buffer.from(snapshot.bytes);
      this.#snapshot = { bytes, version: snapshot.version };
      this.#append(snapshotLine(snapshot));
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
    this.#append(sendLine(send));
  }

  openSends(): SendRecord[] {
    return [...this.#open.values()];
  }

  async sends(): Promise<SendRecord[]> {
    await this.flush();
    return sendsIn(readLines(this.path).lines);
  }

  async conversations(): Promise<string[]> {
    return this.book.ids();
  }

  async messages(conversationId: string): Promise<StoredMessage[]> {
    await this.flush();
    const found: StoredMessage[] = [];
    for (const line of readLines(this.path).lines) {
      if (line.kind === "message" && line.message.conversationId === conversationId)
        found.push(line.message);
    }
    return shownInOrder(this.book, found);
  }

  async flush(): Promise<void> {
    while (this.#writing !== undefined || this.#pending !== "") await this.#write();
    if (this.#failure !== undefined) throw this.#failure;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopTicking();
    try {
      await this.flush();
      fsyncSync(this.#file);
    } finally {
      closeSync(this.#file);
    }
  }

  tick(nowMs: number): void {
    if (this.#pending === "" || nowMs < this.#flushAtMs) return;
    this.#flushAtMs = nowMs + FLUSH_EVERY_MS;
    void this.#write();
  }

  #append(line: readonly unknown[]): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed) throw new Error(`${this.path} is closed`);
    this.#pending += `${JSON.stringify(line)}\n`;
    if (this.#pending.length <= FLUSH_CHARACTERS) return;
    if (this.#pending.length > PENDING_CHARACTERS_MAX)
      throw new Error(`${this.path}: the disk is too slow`);
    void this.#write();
  }

  /** Not in the way of the event loop: a disk that others keep busy may take its time. */
  #write(): Promise<void> {
    this.#writing ??= this.#writePending().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writePending(): Promise<void> {
    const bytes = Buffer.from(this.#pending);
    this.#pending = "";
    if (this.#failure !== undefined) return;
    try {
      for (let at = 0; at < bytes.length; )
        at += (await writeAsync(this.#file, bytes, at)).bytesWritten;
    } catch (error) {
      this.#failure = new Error(`${this.path} cannot be written`, { cause: error });
    }
  }

  #restore(line: DeviceLine): void {
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
}

/** All lines of a device's file, for whoever checks what devices have; a torn last line is left out. */
export function readDeviceFile(path: string): DeviceLine[] {
  return readLines(path).lines;
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

function readLines(path: string): { lines: DeviceLine[]; goodBytes: number; bytes: number } {
  const content = statSync(path).size === 0 ? Buffer.alloc(0) : readFileSync(path);
  const lines: DeviceLine[] = [];
  let start = 0;
  for (let end = content.indexOf(10); end >= 0; end = content.indexOf(10, start)) {
    const line = parseLine(content.toString("utf8", start, end), `${path}, byte ${start}`);
    if (line !== undefined) lines.push(line);
    start = end + 1;
  }
  return { lines, goodBytes: start, bytes: content.length };
}
