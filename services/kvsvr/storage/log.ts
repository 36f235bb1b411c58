/**
 * The write-ahead log: append, fdatasync, then answer. All records that wait are written with one
 * write and made durable with one fdatasync (group commit); while that runs, the next group gathers.
 *
 * Segment file: 16 bytes header (magic, format version, segment number), then records:
 *   u32 length of the payload | u32 crc32 of the rest | u32 synced | payload
 * `synced` is the file offset known durable when the record was written. It tells the two kinds of
 * broken record apart: beyond every such offset it is the torn end of a write that nobody was
 * answered for, and is cut off; before one it is damage, and the replica must not vote (S3).
 *
 * A write that fails (disk full, read-only) fails the waiting answers at once with STORAGE_REFUSED;
 * the bytes are kept and tried again, so the file stays in step with memory, and nothing new is
 * accepted meanwhile. A failing fdatasync ends the process: what the kernel then holds is unknown.
 */
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { RpcError } from "../../svrkit/errors.ts";
import { counter } from "../../svrkit/monitors/registry.ts";
import { setTrouble } from "../../svrkit/monitors/trouble.ts";
import { LOG_RECORD_BYTES_MAX } from "../limits.ts";
import type { Files, LogFile } from "./files.ts";

const MAGIC = 0x564b4354; // "TCKV"
const LOG_FORMAT = 1;
const HEADER_BYTES = 16;
const RECORD_HEAD_BYTES = 12;
const RETRY_MS = 250;
const FIRST_GROUP_BYTES = 64 * 1024;

const fsyncs = counter("kvsvr.fsyncs");
const logBytes = counter("kvsvr.log_bytes");

export class LogDamaged extends Error {}

interface Waiter {
  readonly sequence: number;
  readonly resolve: () => void;
  readonly reject: (error: RpcError) => void;
}

interface Group {
  readonly bytes: Buffer;
  readonly last: number;
}

export interface LogOptions {
  readonly dir: string;
  readonly files: Files;
  /** Gets every record of the existing segments, in order. */
  readonly replay: (payload: Buffer) => void;
  /** Called when going on would risk promises; must end the process. */
  readonly fatal: (error: Error) => void;
}

export class Log {
  readonly #options: LogOptions;
  #file: LogFile;
  #segment: number;
  #offset: number;
  #syncedOffset: number;
  #gathered = Buffer.allocUnsafeSlow(FIRST_GROUP_BYTES);
  #gatheredBytes = 0;
  #appended = 0;
  #durable = 0;
  #waiters: Waiter[] = [];
  #running = false;
  #refusing: string | undefined;
  #rotations: { resolve: (closed: number) => void; reject: (error: unknown) => void }[] = [];
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(options: LogOptions, file: LogFile, at: { segment: number; offset: number }) {
    this.#options = options;
    this.#file = file;
    this.#segment = at.segment;
    this.#offset = at.offset;
    this.#syncedOffset = at.offset;
  }

  /** Opens the directory's log and replays it; throws LogDamaged when a durable part is broken. */
  static async open(options: LogOptions): Promise<Log> {
    const segments = await segmentNumbers(options);
    for (const segment of segments.slice(0, -1)) {
      const file = await options.files.open(segmentPath(options.dir, segment));
      const bytes = await file.readAll();
      await file.close();
      const end = replaySegment(bytes, segment, options.replay);
      if (end !== bytes.length)
        throw new LogDamaged(`log segment ${segment} is broken at byte ${end}`);
    }
    const last = segments.at(-1) ?? 1;
    const file = await options.files.open(segmentPath(options.dir, last));
    const bytes = await file.readAll();
    const end = bytes.length < HEADER_BYTES ? 0 : replaySegment(bytes, last, options.replay);
    const offset = end === 0 ? await startSegment(options, file, last) : end;
    if (end !== 0 && end < bytes.length) {
      await file.truncate(end);
      await file.sync();
    }
    return new Log(options, file, { segment: last, offset });
  }

  /** Why nothing is accepted at present; undefined when all is well. */
  get refusing(): string | undefined {
    return this.#refusing;
  }

  /** Sequence number of the last appended, and of the last durable record of this run. */
  get appended(): number {
    return this.#appended;
  }

  get durableThrough(): number {
    return this.#durable;
  }

  /** Adds a record to the gathering group; returns its sequence number. */
  append(payload: Uint8Array): number {
    if (this.#refusing !== undefined) throw refused(this.#refusing);
    const size = RECORD_HEAD_BYTES + payload.length;
    this.#reserve(size);
    const at = this.#gatheredBytes;
    const b = this.#gathered;
    b.writeUInt32LE(payload.length, at);
    b.writeUInt32LE(this.#syncedOffset, at + 8);
    b.set(payload, at + RECORD_HEAD_BYTES);
    b.writeUInt32LE(crc32(b.subarray(at + 8, at + size)), at + 4);
    this.#gatheredBytes += size;
    this.#appended += 1;
    this.#start();
    return this.#appended;
  }

  /** Resolves when the record of that number, and all before it, are on the disk. */
  durable(sequence: number): Promise<void> {
    if (sequence <= this.#durable) return Promise.resolve();
    if (this.#refusing !== undefined) return Promise.reject(refused(this.#refusing));
    return new Promise((resolve, reject) => this.#waiters.push({ sequence, resolve, reject }));
  }

  /** Starts a new segment after what is appended so far; resolves to the number of the closed one. */
  rotate(): Promise<number> {
    if (this.#refusing !== undefined) return Promise.reject(refused(this.#refusing));
    return new Promise((resolve, reject) => {
      this.#rotations.push({ resolve, reject });
      this.#start();
    });
  }

  /** Removes segments up to and including this one: their content is in the state engine. */
  async removeThrough(segment: number): Promise<void> {
    for (const old of await segmentNumbers(this.#options)) {
      if (old <= segment) await this.#options.files.remove(segmentPath(this.#options.dir, old));
    }
  }

  async close(): Promise<void> {
    if (this.#appended > this.#durable) await this.durable(this.#appended).catch(() => {});
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#file.close();
  }

  #reserve(size: number): void {
    if (this.#gatheredBytes + size <= this.#gathered.length) return;
    const larger = Buffer.allocUnsafeSlow(
      Math.max(this.#gathered.length * 2, this.#gatheredBytes + size),
    );
    this.#gathered.copy(larger, 0, 0, this.#gatheredBytes);
    this.#gathered = larger;
  }

  #start(): void {
    if (this.#running || this.#closed) return;
    this.#running = true;
    // One turn later, so that everything of this tick goes into the first group.
    setImmediate(() => {
      this.#run().catch((error: unknown) => this.#options.fatal(asError(error)));
    });
  }

  async #run(): Promise<void> {
    while (this.#gatheredBytes > 0 || this.#rotations.length > 0) {
      if (this.#gatheredBytes > 0 && !(await this.#commit(this.#takeGroup()))) return;
      if (this.#rotations.length > 0 && this.#gatheredBytes === 0) await this.#rotateNow();
    }
    this.#running = false;
  }

  #takeGroup(): Group {
    const bytes = this.#gathered.subarray(0, this.#gatheredBytes);
    this.#gathered = Buffer.allocUnsafeSlow(Math.max(FIRST_GROUP_BYTES, bytes.length));
    this.#gatheredBytes = 0;
    return { bytes, last: this.#appended };
  }

  /** False when the disk refused; the group is tried again later. */
  async #commit(group: Group): Promise<boolean> {
    try {
      this.#file.write(group.bytes, this.#offset);
    } catch (error) {
      this.#refuse(group, asError(error));
      return false;
    }
    await this.#file.sync();
    fsyncs.value += 1;
    logBytes.value += group.bytes.length;
    if (this.#refusing !== undefined) setTrouble("kvsvr", undefined);
    this.#refusing = undefined;
    this.#offset += group.bytes.length;
    this.#syncedOffset = this.#offset;
    this.#durable = group.last;
    this.#answer();
    return true;
  }

  #answer(): void {
    let count = 0;
    const waiters = this.#waiters;
    while (count < waiters.length && waiters[count]!.sequence <= this.#durable) count += 1;
    this.#waiters = waiters.slice(count);
    for (let i = 0; i < count; i++) waiters[i]!.resolve();
  }

  #refuse(group: Group, error: Error): void {
    this.#refusing = error.message;
    setTrouble("kvsvr", `the disk takes no writes (${error.message})`);
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(refused(error.message));
    for (const rotation of this.#rotations.splice(0)) rotation.reject(refused(error.message));
    this.#retry = setTimeout(() => {
      this.#commit(group).then(
        (done) => (done ? this.#run() : undefined),
        (failure: unknown) => this.#options.fatal(asError(failure)),
      );
    }, RETRY_MS);
  }

  async #rotateNow(): Promise<void> {
    const rotations = this.#rotations;
    this.#rotations = [];
    const closed = this.#segment;
    try {
      const file = await this.#options.files.open(segmentPath(this.#options.dir, closed + 1));
      const offset = await startSegment(this.#options, file, closed + 1);
      await this.#file.close();
      this.#file = file;
      this.#segment = closed + 1;
      this.#offset = offset;
      this.#syncedOffset = offset;
      for (const rotation of rotations) rotation.resolve(closed);
    } catch (error) {
      for (const rotation of rotations) rotation.reject(error);
    }
  }
}

function refused(why: string): RpcError {
  return new RpcError(
    "STORAGE_REFUSED",
    `the disk takes no writes (${why}): free space or make it writable`,
  );
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

function segmentPath(dir: string, segment: number): string {
  return join(dir, `log-${segment.toString().padStart(10, "0")}`);
}

async function segmentNumbers(options: LogOptions): Promise<number[]> {
  const names = await options.files.list(options.dir);
  return names
    .filter((name) => /^log-\d{10}$/.test(name))
    .map((name) => Number(name.slice(4)))
    .sort((a, b) => a - b);
}

async function startSegment(options: LogOptions, file: LogFile, segment: number): Promise<number> {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(LOG_FORMAT, 4);
  header.writeBigUInt64LE(BigInt(segment), 8);
  await file.truncate(0);
  file.write(header, 0);
  await file.sync();
  await options.files.syncDir(options.dir);
  return HEADER_BYTES;
}

/** Replays one segment; returns the offset behind the last whole record. */
function replaySegment(bytes: Buffer, segment: number, replay: (payload: Buffer) => void): number {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32LE(0) !== MAGIC) {
    throw new LogDamaged(`log segment ${segment} does not begin as one`);
  }
  const format = bytes.readUInt32LE(4);
  if (format !== LOG_FORMAT) {
    throw new LogDamaged(
      `log segment ${segment} has format ${format}; this version reads ${LOG_FORMAT}`,
    );
  }
  let at = HEADER_BYTES;
  for (let end = recordEnd(bytes, at); end !== undefined; end = recordEnd(bytes, at)) {
    replay(bytes.subarray(at + RECORD_HEAD_BYTES, end));
    at = end;
  }
  if (at < bytes.length && syncedAfter(bytes, at) > at) {
    throw new LogDamaged(`log segment ${segment} is damaged at byte ${at}: durable records follow`);
  }
  return at;
}

/** End of the record at `at`; undefined when there is no whole one. */
function recordEnd(bytes: Buffer, at: number): number | undefined {
  if (at + RECORD_HEAD_BYTES > bytes.length) return undefined;
  const length = bytes.readUInt32LE(at);
  const end = at + RECORD_HEAD_BYTES + length;
  if (length > LOG_RECORD_BYTES_MAX || end > bytes.length) return undefined;
  return crc32(bytes.subarray(at + 8, end)) === bytes.readUInt32LE(at + 4) ? end : undefined;
}

/** The highest durable offset that any whole record after the broken place names. */
function syncedAfter(bytes: Buffer, broken: number): number {
  let synced = 0;
  for (let at = broken + 1; at + RECORD_HEAD_BYTES <= bytes.length; at++) {
    let end = recordEnd(bytes, at);
    while (end !== undefined) {
      synced = Math.max(synced, bytes.readUInt32LE(at + 8));
      at = end;
      end = recordEnd(bytes, at);
    }
  }
  return synced;
}
