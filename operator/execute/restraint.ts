/**
 * Against doing the same thing over and over: two managers that each take back what the other sets, an
 * object that the server stores otherwise than it was sent. The first few repetitions are normal; then
 * the pause before the next one grows, while everything else goes on. Pure but for its memory.
 */

import { murmur3 } from "../../services/svrkit/murmur3.ts";

interface Pauses {
  /** So many times it may be done without a pause, twice at least. */
  readonly free: number;
  readonly lastMs: number;
}

const PAUSES: Pauses = { free: 4, lastMs: 60_000 };
/** Of what is done again because somebody said "not now", which holds for seconds. */
export const PAUSES_OF_ASKING: Pauses = { free: 2, lastMs: 5_000 };
const PAUSE_FIRST_MS = 1_000;
/** What was not done for so long begins anew. */
const FORGET_MS = 120_000;

interface Done {
  readonly times: number;
  readonly lastMs: number;
}

export class Restraint {
  /**
   * What was done once, round by round, by the hash of its key: a hundred thousand objects may have been made within
   * the last minutes, and hardly any of them twice.
   */
  #once: { readonly hashes: readonly number[]; readonly atMs: number }[] = [];
  /** What was done more often, by the same. */
  readonly #done = new Map<number, Done>();

  /** May it be done now? */
  allows(key: string, nowMs: number, { free, lastMs } = PAUSES): boolean {
    const known = this.#done.get(hashOf(key));
    if (known === undefined || known.times < free) return true;
    const pauseMs = Math.min(lastMs, PAUSE_FIRST_MS * 2 ** (known.times - free));
    return nowMs - known.lastMs >= pauseMs;
  }

  /** All that is done in one round. */
  did(keys: readonly string[], nowMs: number): void {
    const once: number[] = [];
    for (const hash of keys.map(hashOf)) {
      const times = this.#timesOf(hash);
      if (times === 0) once.push(hash);
      else this.#done.set(hash, { times: times + 1, lastMs: nowMs });
    }
    if (once.length > 0) this.#once.push({ hashes: once, atMs: nowMs });
  }

  #timesOf(hash: number): number {
    const known = this.#done.get(hash);
    if (known !== undefined) return known.times;
    return this.#once.some(({ hashes }) => hashes.includes(hash)) ? 1 : 0;
  }

  /** Forgets what was not done lately. */
  forget(nowMs: number): void {
    this.#once = this.#once.filter(({ atMs }) => nowMs - atMs <= FORGET_MS);
    for (const [key, { lastMs }] of this.#done)
      if (nowMs - lastMs > FORGET_MS) this.#done.delete(key);
  }
}

/** That two things of a data centre share one is unlikely, and costs a pause. */
function hashOf(key: string): number {
  return murmur3(Buffer.from(key)) | 0;
}
