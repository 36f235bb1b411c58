/** What the replicas' answers about one key say of them: pure. */

export interface Answer {
  /** Newest version known to be decided; 0: never written. */
  readonly version: number;
  readonly digest: number;
  /** Set when the replica cannot say: its record is damaged, or it may not vote. */
  readonly barred: string;
}

/**
 * same     all know one version and one digest
 * behind   one has not heard yet of a version that another knows
 * unknown  one cannot say
 * differs  two know one version under two digests: no waiting ever heals that
 */
export type Standing = "same" | "behind" | "unknown" | "differs";

export function standingOf(answers: readonly Answer[]): Standing {
  const digests = new Map<number, number>();
  for (const { version, digest, barred } of answers) {
    if (barred !== "") continue;
    const other = digests.get(version);
    if (other !== undefined && other !== digest) return "differs";
    digests.set(version, digest);
  }
  if (answers.some((answer) => answer.barred !== "")) return "unknown";
  return digests.size > 1 ? "behind" : "same";
}

/** All have come as far as somebody was before: what is behind now is a newer write. */
export function hasReached(answers: readonly Answer[], version: number): boolean {
  return answers.every((answer) => answer.barred === "" && answer.version >= version);
}
