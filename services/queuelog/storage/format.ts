/**
 * A segment file, format 1. All numbers little-endian, all checksums CRC-32.
 *
 *   head    "TQL1"  bytes:u32  crc of these 8:u32  then numbers of that many bytes in all, u32 each, of
 *           the older segments that still count  crc of the numbers:u32
 *   batch   "TQB1"  bytes:u32  crc of these 8:u32  then records of that many bytes in all
 *   record  bytes:u32  crc of the body:u32  body (LogRecord of disk.proto)
 *
 * A batch is what one write and one fdatasync made durable together, and the next is written only
 * after that. So a crash leaves at most one broken batch, at the end, and as a prefix: the file ends
 * inside it, or zeros follow to the end. That is a torn tail, answered to nobody, and cut. Anything
 * else that does not check is damage: a record was promised and is not there any more.
 */
import { crc32 } from "node:zlib";
import {
  decodeLogRecord,
  encodeLogRecord,
  type LogRecord,
} from "../../../protos/gen/tricampus/queue/v1/disk_codec.ts";
import { fromBytes, type Writer } from "../../svrkit/codec.ts";

const HEAD_MAGIC = Buffer.from("TQL1");
const BATCH_MAGIC = Buffer.from("TQB1");
/** A magic, a length, and their checksum. */
const PREFIX_BYTES = 12;
const CRC_BYTES = 4;
/** Length and checksum of a record. */
export const RECORD_HEAD_BYTES = 8;

export function encodeHead(olderSegments: readonly number[]): Buffer {
  const listBytes = olderSegments.length * 4;
  const head = Buffer.alloc(PREFIX_BYTES + listBytes + CRC_BYTES);
  writePrefix(head, { at: 0, magic: HEAD_MAGIC, length: listBytes });
  olderSegments.forEach((segment, i) => {
    head.writeUInt32LE(segment, PREFIX_BYTES + i * 4);
  });
  const list = head.subarray(PREFIX_BYTES, PREFIX_BYTES + listBytes);
  head.writeUInt32LE(crc32(list), PREFIX_BYTES + listBytes);
  return head;
}

interface Prefix {
  readonly at: number;
  readonly magic: Buffer;
  readonly length: number;
}

function writePrefix(bytes: Buffer, { at, magic, length }: Prefix): void {
  magic.copy(bytes, at);
  bytes.writeUInt32LE(length, at + 4);
  bytes.writeUInt32LE(crc32(bytes.subarray(at, at + 8)), at + 8);
}

/** The length in the prefix at `at`; undefined when there is no such prefix. */
function readPrefix(bytes: Buffer, at: number, magic: Buffer): number | undefined {
  if (!bytes.subarray(at, at + 4).equals(magic)) return undefined;
  if (crc32(bytes.subarray(at, at + 8)) !== bytes.readUInt32LE(at + 8)) return undefined;
  return bytes.readUInt32LE(at + 4);
}

/** Starts a batch in `w`; `endBatch` fills in its head. */
export function beginBatch(w: Writer): number {
  const at = w.pos;
  w.ensure(PREFIX_BYTES);
  w.pos += PREFIX_BYTES;
  return at;
}

export function endBatch(w: Writer, at: number): void {
  writePrefix(w.buffer, { at, magic: BATCH_MAGIC, length: w.pos - at - PREFIX_BYTES });
}

/** Writes one record; returns its position in `w`. */
export function writeRecord(w: Writer, record: LogRecord): number {
  const at = w.pos;
  w.ensure(RECORD_HEAD_BYTES);
  w.pos += RECORD_HEAD_BYTES;
  encodeLogRecord(w, record);
  w.buffer.writeUInt32LE(w.pos - at - RECORD_HEAD_BYTES, at);
  w.buffer.writeUInt32LE(crc32(w.buffer.subarray(at + RECORD_HEAD_BYTES, w.pos)), at + 4);
  return at;
}

/** The record that starts at `at`; undefined when it does not check. */
export function readRecord(
  bytes: Buffer,
  at: number,
  end = bytes.length,
): { readonly record: LogRecord; readonly end: number } | undefined {
  if (end - at < RECORD_HEAD_BYTES) return undefined;
  const bodyEnd = at + RECORD_HEAD_BYTES + bytes.readUInt32LE(at);
  if (bodyEnd > end) return undefined;
  const body = bytes.subarray(at + RECORD_HEAD_BYTES, bodyEnd);
  if (crc32(body) !== bytes.readUInt32LE(at + 4)) return undefined;
  return { record: fromBytes(decodeLogRecord, body), end: bodyEnd };
}

/** Bytes of the record whose head is given. */
export function recordBytes(head: Buffer): number {
  return RECORD_HEAD_BYTES + head.readUInt32LE(0);
}

export type Scanned =
  | {
      readonly state: "whole" | "torn";
      /** Bytes that count; a torn tail starts here. 0: not even the head is there. */
      readonly size: number;
      readonly olderSegments: readonly number[];
    }
  | { readonly state: "damaged"; readonly reason: string };

/** Goes through a segment, giving each record and its position to `take`. */
export function scanSegment(
  bytes: Buffer,
  take: (record: LogRecord, offset: number) => void,
): Scanned {
  const head = scanHead(bytes);
  if (head.state !== "whole") return head;
  let at = head.size;
  while (at < bytes.length) {
    const isShort = bytes.length - at < PREFIX_BYTES;
    if (isShort || isZero(bytes, at)) return { ...head, state: "torn", size: at };
    const length = readPrefix(bytes, at, BATCH_MAGIC);
    if (length === undefined) return damaged("no batch starts", at);
    const end = at + PREFIX_BYTES + length;
    if (end > bytes.length) return { ...head, state: "torn", size: at };
    const broken = scanBatch(bytes, { at: at + PREFIX_BYTES, end }, take);
    if (broken !== undefined) {
      return isZero(bytes, broken)
        ? { ...head, state: "torn", size: at }
        : damaged("a record does not check", broken);
    }
    at = end;
  }
  return { ...head, size: at };
}

/** Position of the first record that does not check; undefined when all do. */
function scanBatch(
  bytes: Buffer,
  { at, end }: { readonly at: number; readonly end: number },
  take: (record: LogRecord, offset: number) => void,
): number | undefined {
  const found: [LogRecord, number][] = [];
  let next = at;
  while (next < end) {
    const read = readRecord(bytes, next, end);
    if (read === undefined) return next;
    found.push([read.record, next]);
    next = read.end;
  }
  for (const [record, offset] of found) take(record, offset);
  return undefined;
}

function scanHead(bytes: Buffer): Scanned {
  const nothing = { state: "torn", size: 0, olderSegments: [] } as const;
  if (bytes.length < PREFIX_BYTES || isZero(bytes, 0)) return nothing;
  const listBytes = readPrefix(bytes, 0, HEAD_MAGIC);
  if (listBytes === undefined) return damaged("no head of format 1", 0);
  const listEnd = PREFIX_BYTES + listBytes;
  if (listEnd + CRC_BYTES > bytes.length) return nothing;
  if (crc32(bytes.subarray(PREFIX_BYTES, listEnd)) !== bytes.readUInt32LE(listEnd)) {
    return damaged("the head does not check", PREFIX_BYTES);
  }
  const olderSegments: number[] = [];
  for (let at = PREFIX_BYTES; at < listEnd; at += 4) olderSegments.push(bytes.readUInt32LE(at));
  return { state: "whole", size: listEnd + CRC_BYTES, olderSegments };
}

function isZero(bytes: Buffer, from: number): boolean {
  for (let at = from; at < bytes.length; at++) if (bytes[at] !== 0) return false;
  return true;
}

function damaged(what: string, at: number): Scanned {
  return { state: "damaged", reason: `${what} at byte ${at}` };
}
