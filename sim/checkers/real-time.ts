/**
 * The one rule that keys and tables share: an operation that begins after another has ended sees at
 * least that one's version, and if it makes a version, a higher one. A recent read may have been
 * answered as if it had begun RECENT_MS sooner; who comes after it sees what it saw.
 */
import { RECENT_MS } from "../../services/kvsvr/limits.ts";

export interface Placed<O> {
  readonly operation: O;
  readonly version: number;
  /** It made the version; otherwise it saw it. */
  readonly isWriter: boolean;
}

interface Timed {
  readonly start: number;
  readonly end: number;
  readonly outcome: string;
  readonly level?: "recent";
}

function beganMs({ start, level }: Timed): number {
  return level === "recent" ? start - RECENT_MS : start;
}

/** Pairs that break the rule: the later operation and one that it should have seen. */
export function behindTheirTime<O extends Timed>(
  placed: readonly Placed<O>[],
): { late: Placed<O>; missed: Placed<O> }[] {
  const found: { late: Placed<O>; missed: Placed<O> }[] = [];
  const byStart = [...placed].sort((a, b) => beganMs(a.operation) - beganMs(b.operation));
  const ended = placed
    .filter(({ operation }) => operation.outcome === "ok")
    .sort((a, b) => a.operation.end - b.operation.end);
  let newest: Placed<O> | undefined;
  let next = 0;
  for (const one of byStart) {
    for (; next < ended.length && ended[next]!.operation.end < beganMs(one.operation); next++)
      if (newest === undefined || ended[next]!.version > newest.version) newest = ended[next]!;
    if (newest === undefined) continue;
    const least = one.isWriter ? newest.version + 1 : newest.version;
    if (one.version < least) found.push({ late: one, missed: newest });
  }
  return found;
}
