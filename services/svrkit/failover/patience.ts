/**
 * How long a peer may stay silent before its calls are made elsewhere, and before its connection is given
 * up. One that answered late a moment ago is busy, not gone: giving it up then throws away its work and
 * puts it on the others, which are as busy. So patience follows the longest silence that lately ended,
 * within bounds, and is short when all is calm. Suspecting costs little and comes first.
 */
import { SILENCE_MS, SILENCE_MS_MAX, SUSPECT_MS, SUSPECT_MS_MAX } from "../limits.ts";

/** A silence this much longer than the longest one lately is worth asking elsewhere ... */
const SUSPECT_FACTOR = 1.5;
/** ... and this much longer it is not lateness. */
const GIVE_UP_FACTOR = 2.5;
/** The longest silence counts half after so long. */
const HALF_LIFE_MS = 10_000;

export class Patience {
  #longestMs = 0;
  #atMs = 0;

  /** The peer was heard, or was given up, after so long a silence. */
  silenceEnded(quietMs: number, nowMs: number): void {
    this.#longestMs = Math.max(quietMs, this.#longest(nowMs));
    this.#atMs = nowMs;
  }

  /** Silent for so long, it is suspected. */
  suspectMs(nowMs: number): number {
    return Math.min(SUSPECT_MS_MAX, Math.max(SUSPECT_MS, SUSPECT_FACTOR * this.#longest(nowMs)));
  }

  /** Silent for so long, it is given up. */
  giveUpMs(nowMs: number): number {
    return Math.min(SILENCE_MS_MAX, Math.max(SILENCE_MS, GIVE_UP_FACTOR * this.#longest(nowMs)));
  }

  #longest(nowMs: number): number {
    return this.#longestMs * 0.5 ** ((nowMs - this.#atMs) / HALF_LIFE_MS);
  }
}
