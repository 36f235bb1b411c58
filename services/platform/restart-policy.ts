/**
 * When a process that ended is started again: the first time at once, then with growing pauses as
 * long as it keeps dying young, and never given up. A process that lived for a while has paid off
 * its debt and starts afresh.
 */
const PAUSES_MS = [0, 100, 250, 500, 1_000, 2_000, 5_000, 10_000] as const;
/** A process that lived for so long did not die of its start. */
export const GROWN_UP_MS = 10_000;

export interface Restart {
  readonly pauseMs: number;
  /** Deaths in a row that came too early, this one included. */
  readonly earlyDeaths: number;
}

export function planRestart(earlyDeathsBefore: number, livedMs: number): Restart {
  const before = livedMs >= GROWN_UP_MS ? 0 : earlyDeathsBefore;
  const pauseMs = PAUSES_MS[Math.min(before, PAUSES_MS.length - 1)]!;
  return { pauseMs, earlyDeaths: before + 1 };
}
