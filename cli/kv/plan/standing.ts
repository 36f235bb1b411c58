/** What the replicas' answers about one key say of them: pure. */

export interface Answer {
  /** Newest version known to be decided; 0: never written. */
  readonly version: number;
  readonly digest: number;
  /** The value of that version is not held: two campuses have it, or one. */
  readonly lacks: boolean;
  /** What it holds, computed from the value or rows; undefined: not looked at. */
  readonly contents?: number | undefined;
  /** Set when the replica cannot say: its record is damaged, or it may not vote. */
  readonly barred: string;
}

/**
 * same     all hold one version of one digest
 * lacks    all know one version and one digest, and one does not hold its value
 * behind   one has not heard yet of a version that another knows
 * unknown  one cannot say
 * differs  two know one version under two digests: no waiting ever heals that
 * drifted  what one holds is not what its digest stands for, or not what another holds under the same one
 */
export type Standing = "same" | "lacks" | "behind" | "unknown" | "differs" | "drifted";

/** What a replica holds, computed from it, and whether that is not what its digest was made of. */
interface Contents {
  readonly version: number;
  readonly held: number;
  readonly isOther: boolean;
}

/** Of what each replica holds, undefined: it could not be had; and is that all of one version? */
export function standingOfContents(
  contents: readonly (Contents | undefined)[],
): "drifted" | "same" | "apart" {
  const held = new Map<number, number>();
  for (const one of contents) {
    if (one === undefined) continue;
    const other = held.get(one.version) ?? one.held;
    if (one.isOther || other !== one.held) return "drifted";
    held.set(one.version, one.held);
  }
  return held.size === 1 && !contents.includes(undefined) ? "same" : "apart";
}

export function standingOf(answers: readonly Answer[]): Standing {
  const digests = new Map<number, number>();
  for (const { version, digest, barred } of answers) {
    if (barred !== "") continue;
    const other = digests.get(version);
    if (other !== undefined && other !== digest) return "differs";
    digests.set(version, digest);
  }
  if (answers.some((answer) => answer.barred !== "")) return "unknown";
  if (digests.size > 1) return "behind";
  return answers.some(({ lacks }) => lacks) ? "lacks" : "same";
}

/** All hold, or have come beyond, what somebody was at before: what is behind now is a newer write. */
export function hasReached(answers: readonly Answer[], version: number): boolean {
  return answers.every(
    (answer) => answer.barred === "" && (answer.version > version || isHeld(answer, version)),
  );
}

function isHeld(answer: Answer, version: number): boolean {
  return answer.version === version && !answer.lacks;
}
