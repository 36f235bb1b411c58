/**
 * Whether a replica that introduces itself is the one remembered (S3). A disk can be lost, and a copy
 * of it, taken at any time, can be put back. Both others of the group remember
 *   the disk's id               an emptied disk has another one
 *   its newest start, a nonce   a copy taken before it has gone on with starts of its own since: no
 *                               number of them makes up for the one it does not know
 *   how far its log reached     a copy taken during the newest start knows its nonce, and is shorter
 *
 * Incarnations alone do not tell: a copy counts on from where it was taken, so after as many starts it
 * is as high as what is remembered. What is not noticed: a copy that lacks nothing but what was
 * written after the last position that was remembered (membership.ts tells it every few seconds).
 */
import { judgeDisk, type KnownDisk, OLDER_COPY } from "../../svrkit/known-disk.ts";
import { planted } from "./planted.ts";

export interface Start {
  readonly incarnation: number;
  /** Hex; "" of a start older than nonces. */
  readonly nonce: string;
}

/** What is remembered of a replica. */
export interface Met extends KnownDisk, Start {}

/** What a replica says of itself: its disk, this start, and those before. */
export interface Claim extends Met {
  readonly before: readonly Start[];
}

/** Starts that a replica can name, besides those that it knows to be remembered. */
export const STARTS_KEPT = 64;

/** Why the replica may not vote; undefined: it is welcome. */
export function judgeIntroduction(remembered: Met | undefined, claimed: Claim): string | undefined {
  if (remembered === undefined || planted("vote-after-disk-loss")) return undefined;
  // Of one run an older message may come later than a newer one.
  const isSameRun = isSameStart(remembered, claimed) && claimed.nonce !== "";
  const reaches = isSameRun ? remembered : claimed;
  const { segment, bytes } = planted("incarnation-not-checked") ? remembered : reaches;
  const reason = judgeDisk(remembered, { diskId: claimed.diskId, segment, bytes });
  if (reason !== undefined || planted("incarnation-not-checked")) return reason;
  return continues(remembered, claimed) ? undefined : OLDER_COPY;
}

/** This start is the remembered one, or came after it on the same disk. */
function continues(remembered: Start, claimed: Claim): boolean {
  if (isSameStart(remembered, claimed)) return true;
  if (claimed.incarnation <= remembered.incarnation) return false;
  return remembered.nonce === "" || claimed.before.some((start) => isSameStart(start, remembered));
}

function isSameStart(a: Start, b: Start): boolean {
  return a.incarnation === b.incarnation && a.nonce === b.nonce;
}

/** What to remember of a replica that was welcome: what reaches furthest. */
export function metAfter(remembered: Met | undefined, claimed: Claim): Met {
  const { before: _, ...met } = claimed;
  const isOld =
    remembered !== undefined &&
    isSameStart(remembered, claimed) &&
    judgeDisk(remembered, claimed) !== undefined;
  return isOld ? remembered : met;
}

/**
 * The starts to keep and to name: the newest ones, and those that another replica is known to
 * remember, however long it has been away. Beyond, a replica that starts again and again while its
 * words reach another one and no answer comes back is refused in the end: that errs on the safe side.
 */
export function startsToKeep(
  starts: readonly Start[],
  knownToOthers: readonly number[],
): readonly Start[] {
  const first = starts.length - STARTS_KEPT;
  return starts.filter(
    ({ incarnation }, index) => index >= first || knownToOthers.includes(incarnation),
  );
}
