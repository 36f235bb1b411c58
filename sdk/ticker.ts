/**
 * One timer for everything in this process that looks at the clock now and then: thousands of
 * clients then cost one timer, and no message needs one of its own. It runs while anybody ticks.
 */
const TICK_MS = 50;

export interface Ticking {
  /** `nowMs`: monotonic. `lateMs`: how long this process could not listen (its loop was busy). */
  tick(nowMs: number, lateMs: number): void;
}

const all = new Set<Ticking>();
let timer: ReturnType<typeof setInterval> | undefined;
let expectedMs = 0;

/** Returns what ends it. */
export function startTicking(one: Ticking): () => void {
  all.add(one);
  if (timer === undefined) {
    expectedMs = performance.now() + TICK_MS;
    timer = setInterval(tickAll, TICK_MS);
  }
  return () => {
    all.delete(one);
    if (all.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

function tickAll(): void {
  const nowMs = performance.now();
  const late = nowMs - expectedMs;
  expectedMs = nowMs + TICK_MS;
  const lateMs = late > TICK_MS ? late : 0;
  for (const one of all) one.tick(nowMs, lateMs);
}
