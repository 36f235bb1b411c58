/**
 * Whether a disk is the one that its group knows. What was agreed lies on two of three disks, and
 * whoever takes it up later asks two: one that forgot and goes on granting takes that away. An
 * emptied disk shows as another disk id, an older copy as a disk that does not reach as far as it did.
 */

/** What is durable: so many bytes of this segment file, and all before it. */
export interface Position {
  readonly segment: number;
  readonly bytes: number;
}

export interface KnownDisk extends Position {
  /** Hex. */
  readonly diskId: string;
}

/** Why the disk's owner may not vote, given what is remembered of it; undefined when it may. */
export function judgeDisk(
  remembered: KnownDisk | undefined,
  claimed: KnownDisk,
): string | undefined {
  if (remembered === undefined) return undefined;
  if (remembered.diskId !== claimed.diskId) {
    return "its disk is not the one this group knows: it has lost its memory";
  }
  return comparePositions(claimed, remembered) < 0 ? OLDER_COPY : undefined;
}

export const OLDER_COPY = "its disk is an older copy of the one this group knows";

export function comparePositions(a: Position, b: Position): number {
  return a.segment === b.segment ? a.bytes - b.bytes : a.segment - b.segment;
}
