/**
 * Whether this process has just been stopped for a while (SIGSTOP, a paused virtual machine). What it
 * reads first when it goes on was sent long ago, by callers that have given up and asked elsewhere: to
 * carry it out would only keep those from being served who still wait.
 */
import { processBeat } from "./beat.ts";
import { monotonicMs } from "./call.ts";
import { GIVEN_UP_AFTER_MS } from "./limits.ts";

const TICK_MS = 500;
let tickedMs = Number.POSITIVE_INFINITY;

/** Begins to watch; the timer keeps no process alive. */
export function watchForStops(): void {
  tickedMs = monotonicMs();
  processBeat.every(TICK_MS, () => {
    tickedMs = monotonicMs();
  });
}

/** True from the first event after a stop until the timers run again. */
export function wasStopped(nowMs: number = monotonicMs()): boolean {
  return nowMs - tickedMs > GIVEN_UP_AFTER_MS;
}
