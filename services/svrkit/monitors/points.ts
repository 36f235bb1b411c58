/**
 * The format of a points file: what the monitors of one process stood at, second by second, for the last
 * five minutes. Read by whoever may read the folder, while its writer runs and after it died.
 *
 *   header, 4 KiB   magic, version, pid, start, process, the monitors' numbers in the order of a row
 *   300 rows        second since 1970, one float64 a monitor, crc32; second s is in row s modulo 300
 *
 * Numbers are little-endian. A row that is half written fails its checksum and counts as not there.
 */
import { crc32 } from "node:zlib";

const MAGIC = "TCPOINTS";
const VERSION = 1;
const HEADER_BYTES = 4_096;
const ROWS = 300;
const SECOND_BYTES = 8;
/** The checksum, padded so that rows stay aligned. */
const CHECK_BYTES = 8;

const VERSION_AT = 8;
const PID_AT = 12;
const STARTED_AT = 16;
const COLUMNS_AT = 24;
const NAME_BYTES_AT = 28;
const NAME_AT = 32;
const NAME_BYTES_MAX = 256;
const NUMBERS_AT = NAME_AT + NAME_BYTES_MAX;
const COLUMNS_MAX = (HEADER_BYTES - NUMBERS_AT) / 2;

export interface PointsHeader {
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  /** "a/kvsvr" */
  readonly process: string;
  /** Numbers of the monitors, in the order in which a row has them. */
  readonly numbers: readonly number[];
}

interface PointsRow {
  /** Seconds since 1970. */
  readonly second: number;
  /** By position in `numbers`: a sum since the process started, or a level. */
  readonly values: Float64Array;
}

export interface Points {
  readonly header: PointsHeader;
  /** Oldest first; seconds in which the writer had no time are missing. */
  readonly rows: readonly PointsRow[];
}

function rowBytes(columns: number): number {
  return SECOND_BYTES + 8 * columns + CHECK_BYTES;
}

export function fileBytes(columns: number): number {
  return HEADER_BYTES + ROWS * rowBytes(columns);
}

export function rowPosition(second: number, columns: number): number {
  return HEADER_BYTES + (second % ROWS) * rowBytes(columns);
}

export function encodeHeader({ pid, startedAtMs, process, numbers }: PointsHeader): Buffer {
  const name = Buffer.from(process);
  if (numbers.length > COLUMNS_MAX || name.length > NAME_BYTES_MAX)
    throw new RangeError(`${numbers.length} monitors of ${process} do not fit into a points file`);
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(MAGIC, 0, "latin1");
  header.writeUInt32LE(VERSION, VERSION_AT);
  header.writeUInt32LE(pid, PID_AT);
  header.writeDoubleLE(startedAtMs, STARTED_AT);
  header.writeUInt32LE(numbers.length, COLUMNS_AT);
  header.writeUInt32LE(name.length, NAME_BYTES_AT);
  name.copy(header, NAME_AT);
  for (const [i, number] of numbers.entries()) header.writeUInt16LE(number, NUMBERS_AT + 2 * i);
  return header;
}

/** `values`: by number of the monitor. */
export function encodeRow(
  second: number,
  numbers: readonly number[],
  values: Float64Array,
): Buffer {
  const row = Buffer.alloc(rowBytes(numbers.length));
  row.writeDoubleLE(second, 0);
  for (const [i, number] of numbers.entries())
    row.writeDoubleLE(values[number]!, SECOND_BYTES + 8 * i);
  const end = row.length - CHECK_BYTES;
  row.writeUInt32LE(crc32(row.subarray(0, end)), end);
  return row;
}

/** undefined: this is no points file of a version that is known here. */
export function decodePoints(file: Buffer): Points | undefined {
  const header = decodeHeader(file);
  if (header === undefined) return undefined;
  const columns = header.numbers.length;
  const rows: PointsRow[] = [];
  for (let at = HEADER_BYTES; at + rowBytes(columns) <= file.length; at += rowBytes(columns)) {
    const row = decodeRow(file.subarray(at, at + rowBytes(columns)), columns);
    if (row !== undefined) rows.push(row);
  }
  return { header, rows: rows.sort((a, b) => a.second - b.second) };
}

function decodeHeader(file: Buffer): PointsHeader | undefined {
  if (file.length < HEADER_BYTES || file.toString("latin1", 0, VERSION_AT) !== MAGIC)
    return undefined;
  const columns = file.readUInt32LE(COLUMNS_AT);
  const nameBytes = file.readUInt32LE(NAME_BYTES_AT);
  if (file.readUInt32LE(VERSION_AT) !== VERSION) return undefined;
  if (columns > COLUMNS_MAX || nameBytes > NAME_BYTES_MAX) return undefined;
  return {
    pid: file.readUInt32LE(PID_AT),
    startedAtMs: file.readDoubleLE(STARTED_AT),
    process: file.toString("utf8", NAME_AT, NAME_AT + nameBytes),
    numbers: Array.from({ length: columns }, (_, i) => file.readUInt16LE(NUMBERS_AT + 2 * i)),
  };
}

function decodeRow(row: Buffer, columns: number): PointsRow | undefined {
  const second = row.readDoubleLE(0);
  const end = row.length - CHECK_BYTES;
  if (second === 0 || row.readUInt32LE(end) !== crc32(row.subarray(0, end))) return undefined;
  const values = Float64Array.from({ length: columns }, (_, i) =>
    row.readDoubleLE(SECOND_BYTES + 8 * i),
  );
  return { second, values };
}
