/**
 * A large frame that comes in parts: on a slow network each of them is a sign that the rest is on its way, while a
 * WebSocket shows nothing of a message before it is whole.
 */
import type { Part } from "../protos/gen/tricampus/client/v1/frame_codec.ts";

/** More than access lets wait for a client. */
const JOINED_BYTES_MAX = 8 * 1024 * 1024;
/** Whoever gets parts for so long and says nothing tells that it is there: access looks for that every 25 s. */
const SIGN_AFTER_MS = 10_000;

export class Parts {
  #parts: Uint8Array[] = [];
  #bytes = 0;

  /** Another connection: what has come is of no use. */
  clear(): void {
    this.#parts = [];
    this.#bytes = 0;
  }

  /** The whole frame when the part is its last; throws when it grows beyond what any may have. */
  add({ bytes, last }: Part): Uint8Array | undefined {
    this.#bytes += bytes.length;
    if (this.#bytes > JOINED_BYTES_MAX)
      throw new RangeError(`a frame in parts has more than ${JOINED_BYTES_MAX} bytes`);
    this.#parts.push(bytes);
    if (!last) return undefined;
    const whole = new Uint8Array(this.#bytes);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    this.clear();
    return whole;
  }

  /** `wroteMs`: when this side last said something. */
  needsSign(nowMs: number, wroteMs: number): boolean {
    return this.#bytes > 0 && nowMs - wroteMs >= SIGN_AFTER_MS;
  }
}
