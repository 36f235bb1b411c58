/**
 * Against doing the same thing over and over: two managers that each take back what the other sets, an
 * object that the server stores otherwise than it was sent. The first few repetitions are normal; then
 * the pause before the next one grows, while everything else goes on. Pure but for its memory.
 */

/** So many repetitions cost nothing. */
const FREE = 4;
const PAUSE_FIRST_MS = 1_000;
const PAUSE_LAST_MS = 60_000;
/** What was not done for so long begins anew. */
const FORGET_MS = 120_000;

export class Restraint {
  readonly #done = new Map<string, { times: number; lastMs: number }>();

  /** May it be done now? */
  allows(key: string, nowMs: number): boolean {
    const known = this.#done.get(key);
    if (known === undefined || known.times < FREE) return true;
    return nowMs - known.lastMs >= pauseAfter(known.times);
  }

  did(key: string, nowMs: number): void {
    const known = this.#done.get(key);
    const isOld = known !== undefined && nowMs - known.lastMs > FORGET_MS;
    const times = known === undefined || isOld ? 1 : known.times + 1;
    this.#done.set(key, { times, lastMs: nowMs });
  }

  /** Forgets what was not done lately. */
  forget(nowMs: number): void {
    for (const [key, { lastMs }] of this.#done)
      if (nowMs - lastMs > FORGET_MS) this.#done.delete(key);
  }
}

function pauseAfter(times: number): number {
  return Math.min(PAUSE_LAST_MS, PAUSE_FIRST_MS * 2 ** (times - FREE));
}
