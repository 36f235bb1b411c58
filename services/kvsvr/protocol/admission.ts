/**
 * A replica that lost its memory becomes a new member of its group (S3): both others hold durably that
 * from epoch e on replica r is the disk d, and from then on answer nothing of an older epoch. Votes of
 * different epochs never combine, so what the old disk voted counts only where another one holds it.
 *
 * One step after the other, each of which may be repeated after a crash:
 *   1  the new disk asks both what they hold, and chooses an epoch above: `epochFor`
 *   2  both hold it: `judgeAdmission`. Whoever does tells the other one too, so that a new member
 *      that dies half way leaves no two survivors in different epochs
 *   3  it copies from both everything that their votes have left behind; then it votes
 */
import { eraOf } from "./keeper.ts";

export interface Admission {
  readonly epoch: number;
  readonly replica: number;
  /** Hex. */
  readonly diskId: string;
}

/** What a replica holds about its group. */
export interface HeldEpoch {
  readonly epoch: number;
  /** How this epoch began; undefined: with the group. */
  readonly admission: Admission | undefined;
}

type AdmissionVerdict =
  | "hold"
  | "held"
  | "outdated"
  /** The group was forced from another replica: this disk is no member any more. */
  | "excluded";

/** What to make of an admission that somebody asks for, or that another replica tells of. */
export function judgeAdmission(own: HeldEpoch, told: Admission): AdmissionVerdict {
  if (eraOf(told.epoch) > eraOf(own.epoch)) return "excluded";
  if (told.epoch > own.epoch) return "hold";
  return isSame(own.admission, told) ? "held" : "outdated";
}

/** The epoch in which both others are asked to hold the new disk, given what they hold now. */
export function epochFor(
  wanted: { replica: number; diskId: string },
  others: readonly HeldEpoch[],
): number {
  const epoch = Math.max(...others.map((other) => other.epoch));
  // Begun before: to be gone on with, or the one that holds it already would wait for nothing.
  const isBegun = others.every(
    (other) => other.epoch < epoch || isSame(other.admission, { ...wanted, epoch }),
  );
  return isBegun ? epoch : epoch + 1;
}

function isSame(a: Admission | undefined, b: Admission): boolean {
  return a !== undefined && a.epoch === b.epoch && a.replica === b.replica && a.diskId === b.diskId;
}
