/**
 * A segment file of the log, as it is written and read (log.ts):
 *
 *   16 bytes header (magic, format version, segment number), then groups:
 *   u32 magic | u32 length | u32 crc32 of the rest | u32 synced | records, each u32 length, payload
 *
 * It is read in pieces through one buffer, so that a start needs no more memory for a long log than for a
 * short one; a group that is larger than a piece was one buffer of the process that wrote it.
 */
import { crc32 } from "node:zlib";
import { planted } from "../protocol/planted.ts";
import type { LogFile } from "./files.ts";
import { isOneBit, isOneBitOff } from "./one-bit.ts";

const MAGIC = 0x564b4354; // "TCKV"
const LOG_FORMAT = 2;
export const HEADER_BYTES = 16;
const GROUP_MAGIC = Buffer.from([0x7c, 0xc7, 0x1e, 0xe1]);
export const GROUP_HEAD_BYTES = 16;
const LENGTH_AT = 4;
const CRC_AT = 8;
/** `synced`, and where what the checksum is of begins. */
const SYNCED_AT = 12;
export const LENGTH_BYTES = 4;
/** Each read is a detour over a thread: few of them, and not much memory. */
const PIECE_BYTES = 2 * 1024 * 1024;

export class LogDamaged extends Error {}

/** A group that was read; its bytes are there in this turn only. */
export interface ReadGroup {
  readonly file: LogFile;
  /** Where the group begins in the file. */
  readonly position: number;
  readonly bytes: Buffer;
}

/** Gets a record: the bytes of the group from `start` to `end`. */
export type Replayed = (group: ReadGroup, start: number, end: number) => void;

export function encodeHeader(segment: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(LOG_FORMAT, 4);
  header.writeBigUInt64LE(BigInt(segment), 8);
  return header;
}

/** Makes the records behind a group's head, which has room, a whole group. */
export function sealGroup(group: Buffer, synced: number): void {
  GROUP_MAGIC.copy(group, 0);
  group.writeUInt32LE(group.length - GROUP_HEAD_BYTES, LENGTH_AT);
  group.writeUInt32LE(synced, SYNCED_AT);
  group.writeUInt32LE(crc32(group.subarray(SYNCED_AT)), CRC_AT);
}

/** A file's bytes, looked at from its beginning to its end. */
class Pieces {
  readonly file: LogFile;
  readonly size: number;
  #buffer: Buffer;
  #start = 0;
  #length = 0;

  constructor(file: LogFile, size: number) {
    this.file = file;
    this.size = size;
    this.#buffer = Buffer.allocUnsafeSlow(Math.min(size, PIECE_BYTES));
  }

  /** What there is from a position on: at least so many bytes, unless the file ends before. */
  async from(position: number, least: number): Promise<Buffer> {
    const wanted = Math.min(position + least, this.size);
    if (position < this.#start || wanted > this.#start + this.#length) {
      if (least > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(least);
      this.#start = position;
      this.#length = await this.file.read(this.#buffer, position);
    }
    return this.#buffer.subarray(position - this.#start, this.#length);
  }
}

/** Replays one segment; returns the offset behind the last whole group. */
export async function readSegment(
  file: LogFile,
  { segment, size }: { segment: number; size: number },
  replay: Replayed,
): Promise<number> {
  const pieces = new Pieces(file, size);
  requireHeader(await pieces.from(0, HEADER_BYTES), segment);
  let end = HEADER_BYTES;
  for (let bytes = await groupAt(pieces, end); bytes; bytes = await groupAt(pieces, end)) {
    replayGroup({ file, position: end, bytes }, replay);
    end += bytes.length;
  }
  if (end === size) return end;
  const damaged = (why: string) =>
    new LogDamaged(`log segment ${segment} is damaged at byte ${end}: ${why}`);
  if ((await syncedAfter(pieces, end)) > end) throw damaged("durable records follow");
  // Nothing says that the last group was durable; but what is torn is not whole but for one bit.
  if (await isGroupButForOneBit(pieces, end)) throw damaged("one bit has flipped");
  return end;
}

/** Nothing was written in parts: all of the group's bytes are there, and one of its bits is another one. */
async function isGroupButForOneBit(pieces: Pieces, position: number): Promise<boolean> {
  if (planted("checksum-ignored")) return false;
  const head = Buffer.from(await pieces.from(position, GROUP_HEAD_BYTES));
  if (head.length < GROUP_HEAD_BYTES) return false;
  const inMagic = (head.readUInt32LE(0) ^ GROUP_MAGIC.readUInt32LE(0)) >>> 0;
  if (inMagic !== 0 && !isOneBit(inMagic)) return false;
  const wanted = head.readUInt32LE(CRC_AT);
  const bodyOf = async (length: number) => {
    const most = pieces.size - position - GROUP_HEAD_BYTES;
    if (length > most) return undefined;
    const group = await pieces.from(position, GROUP_HEAD_BYTES + length);
    return group.subarray(SYNCED_AT, GROUP_HEAD_BYTES + length);
  };
  const length = head.readUInt32LE(LENGTH_AT);
  const body = await bodyOf(length);
  if (inMagic !== 0) return body !== undefined && crc32(body) === wanted;
  if (body !== undefined && isOneBitOff(body, wanted)) return true;
  for (let bit = 0; bit < 32; bit++) {
    const other = await bodyOf((length ^ (1 << bit)) >>> 0);
    if (other !== undefined && crc32(other) === wanted) return true;
  }
  return false;
}

function requireHeader(header: Buffer, segment: number): void {
  if (header.length < HEADER_BYTES || header.readUInt32LE(0) !== MAGIC)
    throw new LogDamaged(`log segment ${segment} does not begin as one`);
  const format = header.readUInt32LE(4);
  if (format !== LOG_FORMAT)
    throw new LogDamaged(
      `log segment ${segment} has format ${format}; this version reads ${LOG_FORMAT}`,
    );
}

function replayGroup(group: ReadGroup, replay: Replayed): void {
  const { bytes } = group;
  for (let at = GROUP_HEAD_BYTES; at < bytes.length; ) {
    const start = at + LENGTH_BYTES;
    at = start + bytes.readUInt32LE(at);
    replay(group, start, at);
  }
}

/** The group at a position; undefined when there is no whole one. */
async function groupAt(pieces: Pieces, position: number): Promise<Buffer | undefined> {
  const head = await pieces.from(position, GROUP_HEAD_BYTES);
  if (head.length < GROUP_HEAD_BYTES) return undefined;
  if (GROUP_MAGIC.compare(head, 0, GROUP_MAGIC.length) !== 0) return undefined;
  const length = GROUP_HEAD_BYTES + head.readUInt32LE(LENGTH_AT);
  if (position + length > pieces.size) return undefined;
  const group = (await pieces.from(position, length)).subarray(0, length);
  const isWhole =
    group.length === length && crc32(group.subarray(SYNCED_AT)) === group.readUInt32LE(CRC_AT);
  return isWhole || planted("checksum-ignored") ? group : undefined;
}

/** The highest durable offset that any whole group after the broken place names. */
async function syncedAfter(pieces: Pieces, broken: number): Promise<number> {
  let synced = 0;
  for (let at = broken + 1; at < pieces.size; ) {
    const piece = await pieces.from(at, GROUP_MAGIC.length);
    const found = piece.indexOf(GROUP_MAGIC);
    if (found < 0) {
      // It may begin in this piece and end in the next one.
      at += Math.max(1, piece.length - GROUP_MAGIC.length + 1);
      continue;
    }
    const group = await groupAt(pieces, at + found);
    if (group !== undefined) synced = Math.max(synced, group.readUInt32LE(SYNCED_AT));
    at += found + (group?.length ?? 1);
  }
  return synced;
}
