/**
 * Planted bugs: each breaks one rule of the store on purpose, so that the simulation can show that its
 * checkers notice (sim/bugs.ts). None is ever planted in production: nothing there calls `plantBug`.
 */
export const BUGS = [
  "ack-at-one",
  "vote-without-data",
  "vote-below-promise",
  "lost-promise",
  "found-value-ignored",
  "own-vote-not-taken",
  "barred-vote-counts",
  "base-digest-unchecked",
  "ballot-zero-reused",
  "read-without-query",
  "joined-query",
  "pending-ignored",
  "recent-for-a-minute",
  "deletion-not-repaired",
  "trimmed-rows-come-back",
  "trim-forgets-newer",
  "tombstone-forgotten",
  "ids-dropped-at-takeover",
  "condition-ignored",
  "retry-packed-twice",
  "future-ids-accepted",
  "answer-before-sync",
  "checksum-ignored",
  "torn-end-kept",
  "log-removed-early",
  "notice-not-logged",
  "vote-after-disk-loss",
  "incarnation-not-checked",
  "votes-not-copied",
  "slot-served-by-two-groups",
  "ids-dropped-by-move",
  "votes-dropped-by-move",
  "forgotten-by-two",
  "floor-not-kept",
  "forgotten-without-comparing",
  "forgotten-ids",
  "floor-not-moved",
  "copied-ahead-not-forgotten",
  "floor-before-full",
] as const;

export type Bug = (typeof BUGS)[number];

let active: Bug | undefined;

/** True only in a simulation that has planted this bug. */
export function planted(bug: Bug): boolean {
  return active === bug;
}

/** A planted bug must be noticed from outside: the store's own rules look away. */
export function rulesLookAway(): boolean {
  return active !== undefined;
}

/** Only for simulations; undefined takes it out again. */
export function plantBug(bug: Bug | undefined): void {
  active = bug;
}
