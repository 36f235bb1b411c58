/**
 * The write-ahead log: append, fdatasync, then answer. All records that wait form one group: one
 * write, one checksum, one fdatasync (group commit); while that runs, the next group gathers.
 *
 * A group names the file offset known durable when it was written (log-segment.ts). That tells the two
 * kinds of broken group apart: beyond every such offset it is the torn end of a write that nobody was
 * answered for, and is cut off; before one it is damage, and the replica must not vote (S3).
 *
 * Segments are numbered, and a small file says which of them must be there (log-segments.ts).
 *
 * A write that fails (disk full, read-only) fails the waiting answers at once with STORAGE_REFUSED;
 * the bytes are kept and tried again, so the file stays in step with memory, and nothing new is
 * accepted meanwhile. A failing fdatasync ends the process: what the kernel then holds is unknown.
 */
import { join } from "node:path";
import { type Encode, Writer } from "../../svrkit/codec.ts";
import { RpcError } from "../../svrkit/errors.ts";
import type { Position } from "../../svrkit/known-disk.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { setTrouble } from "../../svrkit/monitors/trouble.ts";
import { rest } from "../../svrkit/rest.ts";
import { planted } from "../protocol/planted.ts";
import type { Files, LogFile } from "./files.ts";
import {
  encodeHeader,
  GROUP_HEAD_BYTES,
  HEADER_BYTES,
  LENGTH_BYTES,
  LogDamaged,
  type Replayed,
  readSegment,
  sealGroup,
} from "./log-segment.ts";
import { Segments } from "./log-segments.ts";

const RETRY_MS = 250;
/**
 * After a group of so many records the next one gathers for a while: when many wait, fewer and
 * larger groups answer all of them sooner.
 */
const BUSY_RECORDS = 16;
const BUSY_REST_MS = 2;
const FIRST_GROUP_BYTES = 64 * 1024;
/** A buffer that one large group made larger than this is not kept for the next ones. */
const KEPT_GROUP_BYTES = 4 * 1024 * 1024;

const fsyncs = monitorId("kvsvr.fsyncs");
const logBytes = monitorId("kvsvr.log_bytes");
const syncedRecords = monitorId("kvsvr.records_synced");

/** Hears once: what it waited for is on the disk, or the disk refused it. */
export interface Waiter {
  durable(): void;
  refused(error: RpcError): void;
}

interface Waiting {
  readonly sequence: number;
  readonly waiter: Waiter;
}

interface Group {
  readonly writer: Writer;
  readonly last: number;
}

export interface LogOptions {
  readonly dir: string;
  readonly files: Files;
  /** Gets every record of the existing segments, in order; their files can be read until `forgetEarlier`. */
  readonly replay: Replayed;
  /** Called when going on would risk promises; must end the process. */
  readonly fatal: (error: Error) => void;
}

export class Log {
  readonly #options: LogOptions;
  readonly #segments: Segments;
  /** Closed segments that were replayed. */
  #earlier: LogFile[];
  #file: LogFile;
  #segment: number;
  #offset: number;
  #syncedOffset: number;
  #gathered = emptyGroup();
  /** The buffer of the group before, when it is no longer being written. */
  #spare: Writer | undefined;
  #appended = 0;
  #durable = 0;
  #waiters: Waiting[] = [];
  #running = false;
  #refusing: string | undefined;
  #rotations: { resolve: (closed: number) => void; reject: (error: unknown) => void }[] = [];
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(
    options: LogOptions,
    segments: Segments,
    files: { earlier: LogFile[]; last: LogFile },
    at: { segment: number; offset: number },
  ) {
    this.#options = options;
    this.#segments = segments;
    this.#earlier = files.earlier;
    this.#file = files.last;
    this.#segment = at.segment;
    this.#offset = at.offset;
    this.#syncedOffset = at.offset;
  }

  /** Opens the directory's log and replays it; throws LogDamaged when a durable part is broken. */
  static async open(options: LogOptions): Promise<Log> {
    const found = new Segments(options.dir, options.files.texts, await segmentNumbers(options));
    if (found.missing !== undefined)
      throw new LogDamaged(`log segment ${found.missing} is not there`);
    const opened: LogFile[] = [];
    const open = async (segment: number) => {
      const file = await options.files.open(segmentPath(options.dir, segment));
      opened.push(file);
      return file;
    };
    try {
      for (const segment of found.needed.slice(0, -1)) {
        const file = await open(segment);
        const size = await file.size();
        const end = await readSegment(file, { segment, size }, options.replay);
        if (end !== size) throw new LogDamaged(`log segment ${segment} is broken at byte ${end}`);
      }
      const segment = found.needed.at(-1) ?? 1;
      const earlier = [...opened];
      const last = await open(segment);
      const offset = await openLast(options, last, segment);
      return new Log(options, found, { earlier, last }, { segment, offset });
    } catch (error) {
      for (const file of opened) await file.close();
      throw error;
    }
  }

  /** Nothing of the records of earlier runs is read any more. */
  async forgetEarlier(): Promise<void> {
    for (const file of this.#earlier.splice(0)) await file.close();
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

  /** How far the disk is known to reach: never goes back as long as the disk lives. */
  get reach(): Position {
    return { segment: this.#segment, bytes: this.#syncedOffset };
  }

  /** Adds a record to the gathering group, under the number `appended`; returns its bytes. */
  append<T>(encode: Encode<T>, record: T): number {
    if (this.#refusing !== undefined) throw refused(this.#refusing);
    const w = this.#gathered;
    const at = w.pos;
    w.ensure(LENGTH_BYTES);
    w.pos += LENGTH_BYTES;
    try {
      encode(w, record);
    } catch (error) {
      w.pos = at;
      throw error;
    }
    w.buffer.writeUInt32LE(w.pos - at - LENGTH_BYTES, at);
    this.#appended += 1;
    this.#start();
    return w.pos - at;
  }

  /** Tells the waiter when the record of that number, and all before it, are on the disk. */
  wait(sequence: number, waiter: Waiter): void {
    if (sequence <= this.#durable || planted("answer-before-sync")) waiter.durable();
    else if (this.#refusing !== undefined) waiter.refused(refused(this.#refusing));
    else this.#waiters.push({ sequence, waiter });
  }

  durable(sequence: number): Promise<void> {
    return new Promise((resolve, reject) =>
      this.wait(sequence, { durable: resolve, refused: reject }),
    );
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
    await this.#segments.need(segment + 1);
    for (const old of await segmentNumbers(this.#options)) {
      if (old <= segment) await this.#options.files.remove(segmentPath(this.#options.dir, old));
    }
  }

  async close(): Promise<void> {
    if (this.#appended > this.#durable) await this.durable(this.#appended).catch(() => {});
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.forgetEarlier();
    await this.#file.close();
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
    while (this.#hasGathered || this.#rotations.length > 0) {
      const before = this.#durable;
      if (this.#hasGathered && !(await this.#commit(this.#takeGroup()))) return;
      if (this.#durable - before >= BUSY_RECORDS) await rest(BUSY_REST_MS);
      if (this.#rotations.length > 0 && !this.#hasGathered) await this.#rotateNow();
    }
    this.#running = false;
  }

  get #hasGathered(): boolean {
    return this.#gathered.pos > GROUP_HEAD_BYTES;
  }

  #takeGroup(): Group {
    const writer = this.#gathered;
    sealGroup(writer.buffer.subarray(0, writer.pos), this.#syncedOffset);
    this.#gathered = this.#spare ?? emptyGroup();
    this.#spare = undefined;
    return { writer, last: this.#appended };
  }

  /** False when the disk refused; the group is tried again later. */
  async #commit(group: Group): Promise<boolean> {
    const { writer, last } = group;
    const bytes = writer.buffer.subarray(0, writer.pos);
    try {
      this.#file.write(bytes, this.#offset);
    } catch (error) {
      this.#refuse(group, asError(error));
      return false;
    }
    await this.#file.sync();
    monitor.add(fsyncs, 1);
    monitor.add(logBytes, bytes.length);
    monitor.add(syncedRecords, last - this.#durable);
    if (this.#refusing !== undefined) setTrouble("kvsvr", undefined);
    this.#refusing = undefined;
    this.#offset += bytes.length;
    this.#syncedOffset = this.#offset;
    this.#durable = last;
    writer.pos = GROUP_HEAD_BYTES;
    if (writer.buffer.length <= KEPT_GROUP_BYTES) this.#spare = writer;
    this.#answer();
    return true;
  }

  #answer(): void {
    let count = 0;
    const waiters = this.#waiters;
    while (count < waiters.length && waiters[count]!.sequence <= this.#durable) count += 1;
    this.#waiters = waiters.slice(count);
    for (let i = 0; i < count; i++) waiters[i]!.waiter.durable();
  }

  #refuse(group: Group, error: Error): void {
    this.#refusing = error.message;
    setTrouble("kvsvr", `the disk takes no writes (${error.message})`);
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { waiter } of waiters) waiter.refused(refused(error.message));
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
    let file: LogFile | undefined;
    try {
      file = await this.#options.files.open(segmentPath(this.#options.dir, closed + 1));
      await beginSegment(file, closed + 1);
      await syncSegment(this.#options, file).catch((error: unknown) => {
        this.#options.fatal(asError(error));
        throw error;
      });
      await this.#segments.begin(closed + 1);
    } catch (error) {
      await file?.close();
      // The end of the log's last file may be torn; one that has another one behind it would be damaged.
      if (file !== undefined) {
        const left = segmentPath(this.#options.dir, closed + 1);
        await this.#options.files.remove(left).catch(() => {}); // the next rotation opens it again
      }
      for (const rotation of rotations) rotation.reject(error);
      return;
    }
    await this.#file.close();
    this.#file = file;
    this.#segment = closed + 1;
    this.#offset = HEADER_BYTES;
    this.#syncedOffset = HEADER_BYTES;
    for (const rotation of rotations) rotation.resolve(closed);
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

/** Replays the segment that is gone on with; returns where what comes next begins in it. */
async function openLast(options: LogOptions, file: LogFile, segment: number): Promise<number> {
  const size = await file.size();
  if (size < HEADER_BYTES) {
    await beginSegment(file, segment);
    await syncSegment(options, file);
    return HEADER_BYTES;
  }
  const end = await readSegment(file, { segment, size }, options.replay);
  if (planted("torn-end-kept")) return size;
  if (end < size) await file.truncate(end);
  // What a killed process wrote, or the file's very name, may be in the page cache only; from
  // here on they count as durable.
  await file.sync();
  await options.files.syncDir(options.dir);
  return end;
}

async function beginSegment(file: LogFile, segment: number): Promise<void> {
  await file.truncate(0);
  file.write(encodeHeader(segment), 0);
}

/** Header and name are on the disk. What it throws is fatal, as of any group. */
async function syncSegment(options: LogOptions, file: LogFile): Promise<void> {
  await file.sync();
  await options.files.syncDir(options.dir);
}

function emptyGroup(): Writer {
  const writer = new Writer(FIRST_GROUP_BYTES);
  writer.pos = GROUP_HEAD_BYTES;
  return writer;
}
