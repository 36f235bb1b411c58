/**
 * Since when what is read now may have been waiting. A socket does not tell when its bytes came, and while
 * the event loop is busy nobody looks: a signal that starts at the read says "no delay" just when the loop
 * is stuck. So the wait is counted from the last time the loop looked and the bytes were not there yet.
 *
 * When the loop has slept since the last read, that sleep was ended by the news: it came now. When it has
 * not, it went round and round with work; the bytes came after its last but one look, which is one round
 * ago (the mean round since the last read, for a loop may go round without anything for us).
 */
import { monotonicMs } from "../call.ts";

const timing = performance.nodeTiming;
/** Within one turn of the event loop everything read has the same earliest arrival. */
let isOpen = false;
let arrivedMs = 0;
let lastReadMs = 0;
let lastIdleMs = 0;
let lastRound = 0;

function endTurn(): void {
  isOpen = false;
}

/** Monotonic; call it when a chunk is read. */
export function earliestArrivalMs(): number {
  if (isOpen) return arrivedMs;
  isOpen = true;
  setImmediate(endTurn);
  const nowMs = monotonicMs();
  const { idleTime: idleMs } = timing;
  const round = timing.uvMetricsInfo.loopCount;
  const rounds = Math.max(1, round - lastRound);
  arrivedMs = idleMs > lastIdleMs ? nowMs : nowMs - (nowMs - lastReadMs) / rounds;
  lastReadMs = nowMs;
  lastIdleMs = idleMs;
  lastRound = round;
  return arrivedMs;
}
