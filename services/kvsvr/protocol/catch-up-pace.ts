/**
 * How fast a replica catches up. What it waits for beyond its own work (a turn of the event loop, of the
 * peer's, a CPU, the disk) is time that others needed; it leaves them as much again. Alone on an idle
 * machine it hardly waits, so it hardly rests; on a full one it takes a small share, but not ever less.
 */

export interface Round {
  /** From asking to having it all, ms. */
  readonly tookMs: number;
  /** Work for it here and at the peer, ms. */
  readonly workedMs: number;
  /** Clients are left to the others until it is done. */
  readonly isAwaited: boolean;
}

/** The longest rest, as a multiple of the work before it: so much is left to others however busy they are. */
const REST_WORKS_MAX = 3;
const REST_MS_MAX = 500;

/** Time to rest after a round, ms. */
export function restAfter({ tookMs, workedMs, isAwaited }: Round): number {
  const waitedMs = Math.max(0, tookMs - workedMs);
  const mostMs = REST_WORKS_MAX * workedMs;
  return Math.min(REST_MS_MAX, isAwaited ? Math.min(waitedMs, mostMs) : waitedMs + mostMs);
}
