/**
 * Whether a log is the one that its group knows. A settled entry lies in two of three logs, and every
 * later writer takes it from one of the two that answer (Q2): a log that forgot and goes on granting
 * takes that away. An emptied disk shows as another disk id, an older copy as a disk that does not
 * reach as far as it did.
 */

/** What is durable: so many bytes of this segment file, and all before it. */
export interface Position {
  readonly segment: number;
  readonly bytes: number;
}

export interface KnownLog extends Position {
  readonly diskId: string;
}

/** Why the log may not vote, given what is remembered of it; undefined when it may. */
export function judgeIntroduction(
  remembered: KnownLog | undefined,
  claimed: KnownLog,
): string | undefined {
  if (remembered === undefined) return undefined;
  if (remembered.diskId !== claimed.diskId) {
    return "its disk is not the one this group knows: it has lost its memory";
  }
  if (comparePositions(claimed, remembered) < 0) {
    return "its disk is an older copy of the one this group knows";
  }
  return undefined;
}

export function comparePositions(a: Position, b: Position): number {
  return a.segment === b.segment ? a.bytes - b.bytes : a.segment - b.segment;
}
