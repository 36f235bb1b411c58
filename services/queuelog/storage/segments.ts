/**
 * The segment files of one log: replay, the batch being made, rotation, deletion, reading back.
 *
 * Each segment's head names the older ones that still count, so a file that is missing is noticed,
 * and files that should have been deleted are.
 */
import type { LogRecord } from "../../../protos/gen/tricampus/queue/v1/disk_codec.ts";
import { Writer } from "../../svrkit/codec.ts";
import type { Position } from "../../svrkit/known-disk.ts";
import { type Place, type StreamLog, standingOf } from "../protocol/stream-log.ts";
import type { SegmentFile, SegmentFolder } from "./files.ts";
import {
  beginBatch,
  encodeHead,
  endBatch,
  RECORD_HEAD_BYTES,
  readRecord,
  recordBytes,
  scanSegment,
  writeRecord,
} from "./format.ts";

export interface SegmentsOptions {
  readonly folder: SegmentFolder;
  /** A segment that reached this size is followed by a new one. */
  readonly segmentBytes: number;
}

type Opened = { readonly state: "whole" } | { readonly state: "damaged"; readonly reason: string };

const NAME = /^(\d{8})\.log$/;

export class Segments {
  readonly #folder: SegmentFolder;
  readonly #segmentBytes: number;
  /** Segments that count, with the untrimmed entries in each. */
  readonly #live = new Map<number, number>();
  readonly #readers = new Map<number, Promise<SegmentFile>>();
  #current = 0;
  /** Of the current segment: bytes that are durable or being made so. 0: there is no such file yet. */
  #size = 0;
  #durable: Position = { segment: 0, bytes: 0 };
  #file: SegmentFile | undefined;
  /** Behind #size may stand what a refused write left. */
  #isTailDirty = false;
  #batch = new Writer(64 * 1024);
  #batchAt: number | undefined;
  /** The current segment does not yet say, durably, how the streams stand. */
  #owesStanding = false;
  /** Segments that nothing needs when it does. */
  #dead: number[] = [];

  constructor({ folder, segmentBytes }: SegmentsOptions) {
    this.#folder = folder;
    this.#segmentBytes = segmentBytes;
  }

  async replay(take: (record: LogRecord, place: Place) => void): Promise<Opened> {
    const names = (await this.#folder.list()).filter((name) => NAME.test(name));
    const found = new Set(names.map((name) => Number(name.slice(0, 8))));
    const last = Math.max(0, ...found);
    let listed: readonly number[] = [];
    for (const segment of found) {
      this.#live.set(segment, 0);
      const bytes = await this.#readWhole(segment);
      const scanned = scanSegment(bytes, (record, offset) => take(record, { segment, offset }));
      const name = fileName(segment);
      if (scanned.state === "damaged") return { ...scanned, reason: `${name}: ${scanned.reason}` };
      if (scanned.state === "torn" && segment !== last) {
        return {
          state: "damaged",
          reason: `${name} ends inside a batch, and is not the last file`,
        };
      }
      if (scanned.size > 0) listed = scanned.olderSegments;
      this.#current = segment;
      this.#size = scanned.size;
      this.#isTailDirty = scanned.state === "torn";
    }
    this.#durable = { segment: this.#current, bytes: this.#size };
    const missing = listed.find((segment) => !found.has(segment));
    if (missing === undefined) return { state: "whole" };
    return { state: "damaged", reason: `${fileName(missing)} is missing` };
  }

  /** Entries come to stand in, or leave, a segment. */
  count(place: Place, by: 1 | -1): void {
    const live = this.#live.get(place.segment);
    if (live !== undefined) this.#live.set(place.segment, live + by);
  }

  get isBatchEmpty(): boolean {
    return this.#batchAt === undefined;
  }

  /** Makes sure that a file takes the next batch; throws what the file system says. */
  async prepare(streams: Iterable<StreamLog>): Promise<void> {
    this.#batch.pos = 0;
    this.#batchAt = undefined;
    if (this.#size === 0 || this.#size >= this.#segmentBytes) await this.#startSegment();
    this.#file ??= await this.#folder.open(fileName(this.#current), "write");
    if (this.#isTailDirty) {
      await this.#file.truncate(this.#size);
      this.#isTailDirty = false;
    }
    if (this.#owesStanding) for (const log of streams) this.add(standingOf(log));
  }

  /** Adds a record to the batch. */
  add(record: LogRecord): Place {
    this.#batchAt ??= beginBatch(this.#batch);
    const at = writeRecord(this.#batch, record);
    return { segment: this.#current, offset: this.#size + at };
  }

  async write(): Promise<void> {
    endBatch(this.#batch, this.#batchAt!);
    const bytes = this.#batch.buffer.subarray(0, this.#batch.pos);
    this.#isTailDirty = true;
    await this.#file!.write(bytes, this.#size);
    this.#isTailDirty = false;
    this.#size += bytes.length;
    this.#batchAt = undefined;
    if (this.#batch.buffer.length > 4 * 1024 * 1024) this.#batch = new Writer(64 * 1024);
  }

  async sync(): Promise<void> {
    await this.#file!.datasync();
    this.#durable = { segment: this.#current, bytes: this.#size };
  }

  /** How far the disk surely goes; it only rises. */
  get durable(): Position {
    return this.#durable;
  }

  /** The batch is durable: deletes what it made superfluous. */
  async synced(): Promise<void> {
    this.#owesStanding = false;
    for (const segment of this.#dead.splice(0)) {
      this.#live.delete(segment);
      const reader = this.#readers.get(segment);
      this.#readers.delete(segment);
      await reader?.then((file) => file.close()).catch(() => {}); // it only read
      await this.#folder.remove(fileName(segment)).catch(() => {}); // counts for nothing any more
    }
  }

  async readBack(place: Place): Promise<LogRecord | undefined> {
    let reader = this.#readers.get(place.segment);
    if (reader === undefined) {
      reader = this.#folder.open(fileName(place.segment), "read");
      this.#readers.set(place.segment, reader);
    }
    const file = await reader;
    const head = await file.read(place.offset, RECORD_HEAD_BYTES);
    if (head.length < RECORD_HEAD_BYTES) return undefined;
    const bytes = await file.read(place.offset, recordBytes(head));
    return readRecord(bytes, 0)?.record;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    for (const reader of this.#readers.values()) await reader.then((file) => file.close());
    this.#file = undefined;
    this.#readers.clear();
  }

  /** A new file whose first batch holds what older, deletable ones said of the streams. */
  async #startSegment(): Promise<void> {
    const older = [...this.#live].filter(
      ([segment]) => segment !== this.#current || this.#size > 0,
    );
    const dead = older.filter(([, live]) => live === 0).map(([segment]) => segment);
    const kept = older.filter(([, live]) => live > 0).map(([segment]) => segment);
    const next = this.#size === 0 && this.#current > 0 ? this.#current : this.#current + 1;
    const file = await this.#folder.open(fileName(next), "create");
    try {
      const head = encodeHead(kept);
      await file.write(head, 0);
      await this.#folder.sync();
      await this.#file?.close();
      this.#size = head.length;
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#file = file;
    this.#current = next;
    this.#isTailDirty = false;
    this.#live.set(next, 0);
    this.#dead = dead;
    this.#owesStanding = true;
  }

  async #readWhole(segment: number): Promise<Buffer> {
    const file = await this.#folder.open(fileName(segment), "read");
    try {
      return await file.read(0, await file.size());
    } finally {
      await file.close();
    }
  }
}

function fileName(segment: number): string {
  return `${String(segment).padStart(8, "0")}.log`;
}
