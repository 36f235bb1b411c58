/**
 * Writer and Reader under the generated codecs (tools/protoc-gen-svrkit.ts): protobuf's wire format,
 * 64-bit integers as JavaScript numbers that must be safe (<= 2^53 - 1).
 *
 * A Writer owns a growing buffer into which many messages, and whole frames, are written one after
 * another; nested messages reserve one length byte and move up only when they turn out longer than
 * 127 bytes. A Reader hands out views, never copies.
 * What a handler gets it may keep (server.ts gives small requests bytes of their own); who keeps part
 * of a response copies it.
 */
import { isUtf8 } from "node:buffer";

/** What a peer sent does not follow the format; the message never says more than the place. */
export class CodecError extends Error {}

/** The value of every absent `bytes` field. */
export const NO_BYTES: Uint8Array = new Uint8Array(0);

const FIRST_CAPACITY = 1024;
/** Up to here a loop is faster than the call that copies. */
const SHORT_BYTES = 32;

export class Writer {
  buffer: Buffer;
  pos = 0;

  constructor(capacity = FIRST_CAPACITY) {
    this.buffer = Buffer.allocUnsafeSlow(capacity);
  }

  /** Makes room for `size` more bytes. */
  ensure(size: number): void {
    if (this.pos + size <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.pos + size));
    this.buffer.copy(grown, 0, 0, this.pos);
    this.buffer = grown;
  }

  /** A copy of everything written so far. */
  finish(): Buffer {
    const out = Buffer.allocUnsafe(this.pos);
    this.buffer.copy(out, 0, 0, this.pos);
    return out;
  }

  tag(tag: number): void {
    this.uint32(tag);
  }

  uint32(value: number): void {
    this.ensure(5);
    const b = this.buffer;
    let v = value >>> 0;
    while (v > 127) {
      b[this.pos++] = (v & 127) | 128;
      v >>>= 7;
    }
    b[this.pos++] = v;
  }

  uint64(value: number): void {
    if (value >>> 0 === value) {
      this.uint32(value);
      return;
    }
    if (!Number.isSafeInteger(value) || value < 0)
      throw new CodecError(`not an unsigned integer: ${value}`);
    this.ensure(10);
    let v = value;
    while (v > 127) {
      this.buffer[this.pos++] = (v % 128) | 128;
      v = Math.floor(v / 128);
    }
    this.buffer[this.pos++] = v;
  }

  sint64(value: number): void {
    this.uint64(value >= 0 ? value * 2 : -value * 2 - 1);
  }

  fixed32(value: number): void {
    this.ensure(4);
    this.pos = this.buffer.writeUInt32LE(value >>> 0, this.pos);
  }

  bool(value: boolean): void {
    this.ensure(1);
    this.buffer[this.pos++] = value ? 1 : 0;
  }

  bytes(value: Uint8Array): void {
    const length = value.length;
    this.uint32(length);
    this.raw(value);
  }

  raw(value: Uint8Array): void {
    const length = value.length;
    this.ensure(length);
    const b = this.buffer;
    if (length > SHORT_BYTES) b.set(value, this.pos);
    else for (let i = 0, at = this.pos; i < length; i++) b[at + i] = value[i]!;
    this.pos += length;
  }

  string(value: string): void {
    const length = value.length;
    if (length < 48 && this.shortAscii(value, length)) return;
    const size = Buffer.byteLength(value, "utf8");
    this.uint32(size);
    this.ensure(size);
    this.pos += this.buffer.write(value, this.pos, size, "utf8");
  }

  /** Writes a short ASCII string in one pass; false, with nothing written, when it is not ASCII. */
  private shortAscii(value: string, length: number): boolean {
    this.ensure(length + 1);
    const b = this.buffer;
    const at = this.pos + 1;
    for (let i = 0; i < length; i++) {
      const c = value.charCodeAt(i);
      if (c > 127) return false;
      b[at + i] = c;
    }
    b[this.pos] = length;
    this.pos = at + length;
    return true;
  }

  /** Starts a length-prefixed part; returns what `join` needs. */
  fork(): number {
    this.ensure(1);
    this.pos += 1;
    return this.pos;
  }

  /** Ends the part started at `at` and writes its length in front of it. */
  join(at: number): void {
    const length = this.pos - at;
    if (length < 128) {
      this.buffer[at - 1] = length;
      return;
    }
    const extra = length < 16384 ? 1 : length < 2097152 ? 2 : length < 268435456 ? 3 : 4;
    this.ensure(extra);
    this.buffer.copyWithin(at + extra, at, this.pos);
    this.pos = at - 1;
    this.uint32(length);
    this.pos += length;
  }
}

export class Reader {
  pos: number;
  readonly buffer: Buffer;
  readonly end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.buffer = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.pos = start;
    this.end = end;
  }

  uint32(): number {
    const b = this.buffer;
    let byte = b[this.pos++]!;
    if (byte < 128) return byte;
    let value = byte & 127;
    for (let shift = 7; shift < 35; shift += 7) {
      byte = b[this.pos++]!;
      value |= (byte & 127) << shift;
      if (byte < 128) return value >>> 0;
    }
    throw new CodecError("a 32-bit varint is longer than 5 bytes");
  }

  uint64(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.buffer[this.pos++]!;
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 128;
    }
    throw new CodecError("a 64-bit integer is larger than 2^53 - 1");
  }

  sint64(): number {
    const raw = this.uint64();
    return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2;
  }

  fixed32(): number {
    if (this.pos + 4 > this.end) throw new CodecError("a message ends inside a field");
    const value = this.buffer.readUInt32LE(this.pos);
    this.pos += 4;
    return value;
  }

  bool(): boolean {
    return this.uint32() !== 0;
  }

  /** The end position of a length-prefixed part that starts here. */
  message(): number {
    const end = this.uint32() + this.pos;
    if (end > this.end) throw new CodecError("a length points past the end of the message");
    return end;
  }

  /** A view into the message, not a copy. */
  bytes(): Uint8Array {
    const end = this.message();
    const view = this.buffer.subarray(this.pos, end);
    this.pos = end;
    return view;
  }

  string(): string {
    const end = this.message();
    const start = this.pos;
    this.pos = end;
    const length = end - start;
    if (length < 24) {
      const text = this.shortAscii(start, end);
      if (text !== undefined) return text;
    }
    const part = this.buffer.subarray(start, end);
    if (!isUtf8(part)) throw new CodecError("a string is not valid UTF-8");
    return this.buffer.toString("utf8", start, end);
  }

  private shortAscii(start: number, end: number): string | undefined {
    let text = "";
    for (let i = start; i < end; i++) {
      const c = this.buffer[i]!;
      if (c > 127) return undefined;
      text += String.fromCharCode(c);
    }
    return text;
  }

  /** Asserts that a part was read to exactly its end. */
  finish(end: number): void {
    if (this.pos !== end || end > this.end) throw new CodecError("a message ends inside a field");
  }
}

/** Passes over a field that this version does not know. */
export function skipField(r: Reader, tag: number): void {
  if (tag >>> 3 === 0) throw new CodecError("field number 0");
  switch (tag & 7) {
    case 0:
      for (let i = 0; i < 10; i++) if ((r.buffer[r.pos++] ?? 0) < 128) return;
      throw new CodecError("a varint is longer than 10 bytes");
    case 1:
      r.pos += 8;
      return;
    case 2:
      r.pos = r.message();
      return;
    case 5:
      r.pos += 4;
      return;
    default:
      throw new CodecError(`wire type ${tag & 7} is not supported`);
  }
}

export type Encode<T> = (w: Writer, message: T) => void;
export type Decode<T> = (r: Reader, end: number) => T;

const scratch = new Writer(4096);

/** Encodes one message into bytes of its own. */
export function toBytes<T>(encode: Encode<T>, message: T): Buffer {
  scratch.pos = 0;
  encode(scratch, message);
  const out = scratch.finish();
  if (scratch.buffer.length > 1 << 20) scratch.buffer = Buffer.allocUnsafeSlow(4096);
  return out;
}

/** Decodes a whole message; throws CodecError when the bytes are not one. */
export function fromBytes<T>(decode: Decode<T>, bytes: Uint8Array): T {
  const r = new Reader(bytes);
  return decode(r, r.end);
}
