/**
 * In which order a caller tries the replicas of a callee: its own campus first, then the others so
 * that over many calls the survivors of a lost campus share its load evenly. Replicas known to be
 * down come late, not never: when all are down, trying is the only way to learn otherwise. Blocked
 * ones come after all of them: a call that would fail otherwise is the one reason to ask there.
 */
export interface Candidate {
  readonly campus: string;
  readonly usable: boolean;
}

/** By candidate; undefined when none is blocked. */
type Blocked = readonly boolean[] | undefined;

/** Indexes into `candidates`; `turn` counts the caller's calls and rotates the others. */
export function pickOrder(
  candidates: readonly Candidate[],
  ownCampus: string,
  turn: number,
  blocked?: Blocked,
): number[] {
  const own: number[] = [];
  const others: number[] = [];
  candidates.forEach((candidate, index) => {
    (candidate.campus === ownCampus ? own : others).push(index);
  });
  const order = [...rotate(own, turn), ...rotate(others, turn)];
  return usableFirst(candidates, order, blocked);
}

/** The same order with the usable ones first, and what is blocked last. */
export function usableFirst(
  candidates: readonly Candidate[],
  order: readonly number[],
  blocked?: Blocked,
): number[] {
  const sorted = [
    ...order.filter((i) => candidates[i]!.usable),
    ...order.filter((i) => !candidates[i]!.usable),
  ];
  if (blocked === undefined) return sorted;
  return [...sorted.filter((i) => !blocked[i]), ...sorted.filter((i) => blocked[i])];
}

function rotate(indexes: number[], turn: number): number[] {
  const usableTurn = indexes.length === 0 ? 0 : turn % indexes.length;
  return [...indexes.slice(usableTurn), ...indexes.slice(0, usableTurn)];
}
