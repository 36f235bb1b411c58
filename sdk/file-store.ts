/**
 * A device's store as one append-only file of JSON lines, for Node. Messages stay in the file; in
 * memory are only the numbers of those the device has, so that thousands of devices fit into one
 * process. Lines (arrays; times in milliseconds since 1970):
 *
 *   ["device", 1]                                                        the format, first
 *   ["m", conversation, sequence, id, sender, client id, text, accepted, received, kind?, user?]
 *   ["s", snapshot as base64, version]                                   after its messages
 *   ["o", client id, recipient, text, sent]                              a send begins
 *   ["a", client id, acknowledged, id, conversation, sequence]           ... is acknowledged
 *   ["f", client id, failed, code]                                       ... or has failed
 *   ["d", conversation, sequence, id]                                    refused: a double
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
import {
  type DeviceStore,
  EMPTY_SNAPSHOT,
  inOrder,
  MessageIndex,
  type Recipient,
  type SendRecord,
  type Snapshot,
  type StoredMessage,
} from "./store.ts";
import { startTicking, type Ticking } from "./ticker.ts";

const FORMAT = 1;
const FLUSH_EVERY_MS = 1_000;
const FLUSH_CHARACTERS = 64 * 1024;
/** What may wait for a disk that is slower than the platform. */
const PENDING_CHARACTERS_MAX = 64 * 1024 * 1024;

const writeAsync = promisify(write);

/** One line of a device's file. */
export type DeviceLine =
  | { readonly kind: "message"; readonly message: StoredMessage }
  | { readonly kind: "snapshot"; readonly snapshot: Snapshot }
  | { readonly kind: "send"; readonly send: SendRecord }
  | {
      readonly kind: "acknowledged";
      readonly clientMessageId: string;
      readonly outcome: Outcome<"acknowledged">;
    }
  | {
      readonly kind: "failed";
      readonly clientMessageId: string;
      readonly outcome: Outcome<"failed">;
    }
  | {
      readonly kind: "double";
      readonly conversationId: string;
      readonly sequence: number;
      readonly messageId: string;
    };

type Outcome<S> = Extract<SendRecord["outcome"], { state: S }>;

export class FileStore implements DeviceStore, Ticking {
  readonly path: string;
  readonly #file: number;
  readonly #index = new MessageIndex();
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
    return this.#index;
  }

  add(messages: readonly StoredMessage[], snapshot: Snapshot | undefined): StoredMessage[] {
    const fresh: StoredMessage[] = [];
    for (const message of messages) {
      const taken = this.#index.take(message);
      if (taken === "new") {
        this.#append(messageLine(message));
        fresh.push(message);
      } else if (taken === "double") {
        this.#append(["d", message.conversationId, message.sequence, message.messageId]);
      }
    }
    if (snapshot !== undefined) {
      const bytes = Buffer.from(snapshot.bytes);
      this.#snapshot = { bytes, version: snapshot.version };
      this.#append(["s", bytes.toString("base64"), snapshot.version]);
    }
    return fresh;
  }

  recordSend(send: SendRecord): void {
    const { clientMessageId, to, text, sentAtMs, outcome } = send;
    if (outcome.state === "open") {
      if (this.#open.has(clientMessageId)) return;
      this.#open.set(clientMessageId, send);
      this.#append(["o", clientMessageId, to, text, sentAtMs]);
      return;
    }
    this.#open.delete(clientMessageId);
    if (outcome.state === "failed") {
      this.#append(["f", clientMessageId, outcome.atMs, outcome.code]);
      return;
    }
    const { atMs, messageId, conversationId, sequence } = outcome;
    this.#append(["a", clientMessageId, atMs, messageId, conversationId, sequence]);
  }

  openSends(): SendRecord[] {
    return [...this.#open.values()];
  }

  async sends(): Promise<SendRecord[]> {
    await this.flush();
    const sends = new Map<string, SendRecord>();
    for (const line of readLines(this.path).lines) {
      if (line.kind === "send") sends.set(line.send.clientMessageId, line.send);
      if (line.kind !== "acknowledged" && line.kind !== "failed") continue;
      const send = sends.get(line.clientMessageId);
      if (send !== undefined) sends.set(line.clientMessageId, { ...send, outcome: line.outcome });
    }
    return [...sends.values()];
  }

  async conversations(): Promise<string[]> {
    return this.#index.conversations();
  }

  async messages(conversationId: string): Promise<StoredMessage[]> {
    await this.flush();
    const found: StoredMessage[] = [];
    for (const line of readLines(this.path).lines) {
      if (line.kind === "message" && line.message.conversationId === conversationId)
        found.push(line.message);
    }
    return inOrder(found);
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
    if (line.kind === "message") this.#index.take(line.message);
    else if (line.kind === "snapshot") this.#snapshot = line.snapshot;
    else if (line.kind === "send") this.#open.set(line.send.clientMessageId, line.send);
    else if (line.kind === "acknowledged" || line.kind === "failed")
      this.#open.delete(line.clientMessageId);
    else this.#index.restoreDouble(line.conversationId, line.sequence);
  }
}

/** All lines of a device's file, for whoever checks what devices have; a torn last line is left out. */
export function readDeviceFile(path: string): DeviceLine[] {
  return readLines(path).lines;
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

function messageLine(m: StoredMessage): unknown[] {
  const line: unknown[] = [
    "m",
    m.conversationId,
    m.sequence,
    m.messageId,
    m.senderId,
    m.clientMessageId,
    m.text,
    m.acceptedAtMs,
    m.receivedAtMs,
  ];
  if (m.notice !== undefined) line.push(m.notice.kind, m.notice.userId);
  return line;
}

/** Undefined for the line that names the format. */
function parseLine(text: string, place: string): DeviceLine | undefined {
  let line: unknown[];
  try {
    line = JSON.parse(text) as unknown[];
  } catch (error) {
    throw new Error(`${place}: the line is damaged`, { cause: error });
  }
  const [tag, ...rest] = line as [string, ...unknown[]];
  if (tag === "m") return { kind: "message", message: parseMessage(rest) };
  if (tag === "s") {
    const [bytes, version] = rest as [string, number];
    return { kind: "snapshot", snapshot: { bytes: Buffer.from(bytes, "base64"), version } };
  }
  if (tag === "d") {
    const [conversationId, sequence, messageId] = rest as [string, number, string];
    return { kind: "double", conversationId, sequence, messageId };
  }
  if (tag === "device" && (rest as number[])[0] === FORMAT) return undefined;
  const send = parseSend(tag, rest);
  if (send === undefined) throw new Error(`${place}: "${tag}" is of no kind known here`);
  return send;
}

function parseMessage(fields: readonly unknown[]): StoredMessage {
  const [conversationId, sequence, messageId, senderId, clientMessageId, text] = fields as [
    string,
    number,
    string,
    string,
    string,
    string,
  ];
  const [acceptedAtMs, receivedAtMs, kind, userId] = fields.slice(6) as [
    number,
    number,
    1 | 2 | 3,
    string,
  ];
  const notice = kind === undefined ? undefined : { kind, userId };
  const body = { messageId, conversationId, sequence, senderId, clientMessageId, text };
  return { ...body, acceptedAtMs, receivedAtMs, notice };
}

function parseSend(tag: string, fields: readonly unknown[]): DeviceLine | undefined {
  if (tag === "o") {
    const [clientMessageId, to, text, sentAtMs] = fields as [string, Recipient, string, number];
    return {
      kind: "send",
      send: { clientMessageId, to, text, sentAtMs, outcome: { state: "open" } },
    };
  }
  if (tag === "a") {
    const [clientMessageId, atMs, messageId, conversationId, sequence] = fields as [
      string,
      number,
      string,
      string,
      number,
    ];
    const outcome = { state: "acknowledged", atMs, messageId, conversationId, sequence } as const;
    return { kind: "acknowledged", clientMessageId, outcome };
  }
  if (tag !== "f") return undefined;
  const [clientMessageId, atMs, code] = fields as [string, number, string];
  return { kind: "failed", clientMessageId, outcome: { state: "failed", atMs, code } };
}
