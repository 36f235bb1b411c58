/** Payloads of untrimmed entries in memory, the oldest given up first; the files have them all. */
import type { Held } from "../protocol/stream-log.ts";

export class PayloadCache {
  readonly #bytesMax: number;
  /** In the order of arrival. */
  readonly #held = new Set<Held>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  add(held: Held): void {
    if (held.payload === undefined || held.payloadBytes === 0) return;
    this.#held.add(held);
    this.#bytes += held.payloadBytes;
    for (const oldest of this.#held) {
      if (this.#bytes <= this.#bytesMax) return;
      this.remove(oldest);
      oldest.payload = undefined;
    }
  }

  remove(held: Held): void {
    if (this.#held.delete(held)) this.#bytes -= held.payloadBytes;
  }
}
