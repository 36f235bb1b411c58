/** Bytes of an upload at any place, read part by part; the parts read last are kept. */
import { PART_BYTES } from "../../data/media/client.ts";

const KEPT = 2;

export class UploadReader {
  readonly bytes: number;
  readonly #part: (index: number) => Promise<Uint8Array>;
  readonly #kept = new Map<number, Promise<Uint8Array>>();

  constructor(bytes: number, part: (index: number) => Promise<Uint8Array>) {
    this.bytes = bytes;
    this.#part = part;
  }

  /** Fewer at the end. */
  async read(offset: number, length: number): Promise<Buffer> {
    const end = Math.min(this.bytes, offset + length);
    const pieces: Uint8Array[] = [];
    for (let at = offset; at < end; ) {
      const index = Math.floor(at / PART_BYTES);
      const part = await this.#load(index);
      const from = at - index * PART_BYTES;
      const piece = part.subarray(from, from + (end - at));
      if (piece.length === 0) break;
      pieces.push(piece);
      at += piece.length;
    }
    return Buffer.concat(pieces);
  }

  #load(index: number): Promise<Uint8Array> {
    let part = this.#kept.get(index);
    if (part === undefined) {
      part = this.#part(index);
      this.#kept.set(index, part);
      const [oldest] = this.#kept.keys();
      if (this.#kept.size > KEPT) this.#kept.delete(oldest!);
    }
    return part;
  }
}
