/** When a request that no server took is made again. Pure. */
export interface AttemptLimits {
  readonly attempts: number;
  readonly pauseFirstMs: number;
  readonly pauseLastMs: number;
}

/**
 * The pause after so many failures, jittered by half; undefined: give up. A server to which all attempts
 * failed lately (`isDown`) gets one attempt each time: others' events do not wait for it one by one.
 * `jitter`: from 0 to 1.
 */
export function pauseAfter(
  failures: number,
  limits: AttemptLimits,
  { isDown, jitter }: { isDown: boolean; jitter: number },
): number | undefined {
  if (isDown || failures >= limits.attempts) return undefined;
  const pauseMs = Math.min(limits.pauseLastMs, limits.pauseFirstMs * 2 ** (failures - 1));
  return pauseMs * (0.5 + jitter / 2);
}
