/**
 * Whether an entry is to blame for steps that fail, or the platform around it. Pure.
 *
 * An answer about the request itself (TOO_LARGE, INVALID_ARGUMENT) will be the same next time. INTERNAL may be
 * anything, an outage too: it counts against the entry only when it lasts, and others are worked off meanwhile.
 */
import type { Code } from "../svrkit/errors.ts";

/** Failures in a row until an entry is given up, or looked for among others: some 25 s. */
const FAILURES_MAX = 30;
const LASTING_MS = 10 * 60_000;
/** Somebody else's step worked so lately. */
const LATELY_MS = 60_000;
/** When there is nobody else whose steps could say something. */
const ALONE_MS = 6 * 3_600_000;

export interface Failing {
  readonly code: Code;
  /** In a row, at the same first entry. */
  readonly failures: number;
  readonly sinceMs: number;
  /** Entries of the step. */
  readonly entries: number;
  /** When a step of another stream worked last; undefined: never. */
  readonly othersWorkedMs: number | undefined;
}

/** "apart": entries go one by one, to find the one. "bury": the only one is to blame. */
export function judge(failing: Failing, nowMs: number): "again" | "apart" | "bury" {
  const { code, failures, entries } = failing;
  if (!isDefect(code)) return "again";
  // Together they may be too large, while each is not.
  if (entries > 1) return code === "TOO_LARGE" || failures >= FAILURES_MAX ? "apart" : "again";
  if (failures < FAILURES_MAX) return "again";
  return code !== "INTERNAL" || isItsOwn(failing, nowMs) ? "bury" : "again";
}

/** An outage has other codes; not all that have these are an entry's fault. */
export function isDefect(code: Code): boolean {
  return code === "INTERNAL" || code === "INVALID_ARGUMENT" || code === "TOO_LARGE";
}

function isItsOwn({ sinceMs, othersWorkedMs }: Failing, nowMs: number): boolean {
  const lastsMs = nowMs - sinceMs;
  if (lastsMs >= ALONE_MS) return true;
  if (othersWorkedMs === undefined || othersWorkedMs <= sinceMs) return false;
  return lastsMs >= LASTING_MS && nowMs - othersWorkedMs <= LATELY_MS;
}
