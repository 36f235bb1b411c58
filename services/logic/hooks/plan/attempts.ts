/** When a request that no server took is made again, and when it is given up. Pure. */
export interface AttemptLimits {
  /** Failures after which a request is suspected, when others were taken meanwhile. */
  readonly attempts: number;
  readonly pauseFirstMs: number;
  readonly pauseLastMs: number;
  /** What is older, and waits since a server takes nothing, is given up. */
  readonly waitMaxMs: number;
}

/** The pause after so many failures in a row, jittered by half. `jitter`: from 0 to 1. */
export function pauseAfter(
  failures: number,
  { pauseFirstMs, pauseLastMs }: AttemptLimits,
  jitter: number,
): number {
  const pauseMs = Math.min(pauseLastMs, pauseFirstMs * 2 ** Math.min(30, failures - 1));
  return pauseMs * (0.5 + jitter / 2);
}

/** What is known of a request that failed. */
export interface Failed {
  /** How often it failed. */
  readonly failures: number;
  /** How often of these while the server was not taken for down, and took something else since the time before. */
  readonly alone: number;
  /** Since it failed before, or was begun, the server took something else. */
  readonly othersTaken: boolean;
  /** Of its items. */
  readonly items: number;
}

/**
 * "again": the server may be down, or is worth another try. "apart": one of the items may be what it fails at,
 * which shows when they go one by one. "give up": it fails alone, and again and again, while others do not.
 */
export function afterFailure(
  { failures, alone, othersTaken, items }: Failed,
  { attempts }: AttemptLimits,
): "again" | "apart" | "give up" {
  if (items > 1) return failures < attempts ? "again" : "apart";
  return alone >= attempts && othersTaken ? "give up" : "again";
}
