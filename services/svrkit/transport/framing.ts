/**
 * Frames in and out of a byte stream (format: protos/tricampus/svrkit/v1/frame.proto).
 *
 * FrameReader cuts chunks into frames without copying, except for the frame that spans two chunks.
 * FrameWriter gathers all frames of a tick into one buffer, so that one write serves many calls.
 */
import { type Encode, Writer } from "../codec.ts";
import { RpcError } from "../errors.ts";
import { FRAME_BYTES_MAX } from "../limits.ts";

const PREFIX_BYTES = 7;
/** Its length is two bytes. */
const HEAD_BYTES_MAX = 0xffff;
const CHUNK_BYTES = 64 * 1024;

export interface Frame {
  readonly kind: number;
  readonly buffer: Buffer;
  readonly headStart: number;
  readonly headEnd: number;
  /** End of the frame: the body is [headEnd, end). */
  readonly end: number;
}

export class FrameReader {
  /** Largest frame accepted; raised by the session after the Hello. */
  bytesMax: number;
  /** What came of an unfinished frame, and how many bytes it needs before it is worth a look. */
  #parts: Buffer[] = [];
  #have = 0;
  #need = PREFIX_BYTES;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** Calls `take` for each whole frame; throws RpcError when the peer breaks the format. */
  push(chunk: Buffer, take: (frame: Frame) => void): void {
    let buffer = chunk;
    if (this.#have > 0) {
      this.#parts.push(chunk);
      this.#have += chunk.length;
      if (this.#have < this.#need) return;
      buffer = Buffer.concat(this.#parts, this.#have);
      this.#parts = [];
    }
    let at = 0;
    this.#need = PREFIX_BYTES;
    while (buffer.length - at >= PREFIX_BYTES) {
      const end = at + 4 + this.#frameLength(buffer, at);
      this.#need = end - at;
      if (end > buffer.length) break;
      const headStart = at + PREFIX_BYTES;
      const headEnd = headStart + buffer.readUInt16LE(at + 5);
      if (headEnd > end) {
        throw new RpcError("INVALID_ARGUMENT", "a frame's head is longer than the frame");
      }
      take({ kind: buffer[at + 4]!, buffer, headStart, headEnd, end });
      at = end;
      this.#need = PREFIX_BYTES;
    }
    this.#have = buffer.length - at;
    if (this.#have > 0) this.#parts.push(Buffer.from(buffer.subarray(at)));
  }

  #frameLength(buffer: Buffer, at: number): number {
    const length = buffer.readUInt32LE(at);
    if (length > this.bytesMax || length < PREFIX_BYTES - 4) {
      throw tooLarge(length, this.bytesMax);
    }
    return length;
  }
}

export class FrameWriter {
  #writer = new Writer(CHUNK_BYTES);
  #start = 0;

  get isEmpty(): boolean {
    return this.#writer.pos === this.#start;
  }

  /**
   * Appends one frame. What cannot be encoded, or would be too large for the far end, which could only end the
   * connection with everybody's calls, leaves nothing behind and throws.
   */
  frame<H, B>(
    kind: number,
    head: [Encode<H>, H] | undefined,
    body: [Encode<B>, B] | Uint8Array | undefined,
  ): void {
    const w = this.#writer;
    const at = w.pos;
    w.ensure(PREFIX_BYTES);
    w.pos += PREFIX_BYTES;
    try {
      if (head !== undefined) head[0](w, head[1]);
      const headBytes = w.pos - at - PREFIX_BYTES;
      if (body instanceof Uint8Array) w.raw(body);
      else if (body !== undefined) body[0](w, body[1]);
      const bytes = w.pos - at - 4;
      if (bytes > FRAME_BYTES_MAX) throw tooLarge(bytes, FRAME_BYTES_MAX);
      if (headBytes > HEAD_BYTES_MAX) throw tooLarge(headBytes, HEAD_BYTES_MAX);
      w.buffer.writeUInt32LE(bytes, at);
      w.buffer[at + 4] = kind;
      w.buffer.writeUInt16LE(headBytes, at + 5);
    } catch (error) {
      w.pos = at;
      throw error;
    }
  }

  /** Everything appended since the last call; the caller owns the bytes. */
  take(): Buffer {
    const w = this.#writer;
    const out = w.buffer.subarray(this.#start, w.pos);
    if (w.buffer.length - w.pos < CHUNK_BYTES / 4) {
      this.#writer = new Writer(CHUNK_BYTES);
      this.#start = 0;
    } else {
      this.#start = w.pos;
    }
    return out;
  }
}

function tooLarge(bytes: number, max: number): RpcError {
  return new RpcError("TOO_LARGE", `a frame or its head of ${bytes} bytes: the limit is ${max}`);
}
