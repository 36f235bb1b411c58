/**
 * Byte strings in a stream, each behind its length as 4 bytes, most significant first: the client
 * protocol's frames over TCP and in the bodies of long polls. Free of Node, for clients.
 */
import { NO_BYTES } from "../codec.ts";

const PREFIX_BYTES = 4;

export function lengthPrefixed(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(PREFIX_BYTES + bytes.length);
  new DataView(out.buffer).setUint32(0, bytes.length);
  out.set(bytes, PREFIX_BYTES);
  return out;
}

export class LengthPrefixedReader {
  readonly #bytesMax: number;
  /** What came of one that is not whole. */
  #parts: Uint8Array[] = [];
  #have = 0;
  #need = PREFIX_BYTES;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get isBetween(): boolean {
    return this.#have === 0;
  }

  /** The whole ones of a chunk; undefined: one is longer than it may be, and the stream of no use. */
  push(chunk: Uint8Array): Uint8Array[] | undefined {
    const whole: Uint8Array[] = [];
    let bytes = chunk;
    if (this.#have > 0) {
      this.#parts.push(chunk);
      this.#have += chunk.length;
      if (this.#have < this.#need) return whole;
      bytes = joined(this.#parts, this.#have);
      this.#parts = [];
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    this.#need = PREFIX_BYTES;
    while (bytes.length - at >= PREFIX_BYTES) {
      const length = view.getUint32(at);
      if (length > this.#bytesMax) return undefined;
      const end = at + PREFIX_BYTES + length;
      this.#need = end - at;
      if (end > bytes.length) break;
      whole.push(length === 0 ? NO_BYTES : bytes.subarray(at + PREFIX_BYTES, end));
      at = end;
      this.#need = PREFIX_BYTES;
    }
    this.#have = bytes.length - at;
    if (this.#have > 0) this.#parts.push(bytes.slice(at));
    return whole;
  }
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
