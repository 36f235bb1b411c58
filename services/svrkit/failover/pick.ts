/**
 * In which order a caller tries the replicas of a callee: its own campus first, then the others so
 * that over many calls the survivors of a lost campus share its load evenly. Replicas known to be
 * down come last, not never: when all are down, trying is the only way to learn otherwise.
 */
export interface Candidate {
  readonly campus: string;
  readonly usable: boolean;
}

/** Indexes into `candidates`; `turn` counts the caller's calls and rotates the others. */
export function pickOrder(
  candidates: readonly Candidate[],
  ownCampus: string,
  turn: number,
): number[] {
  const own: number[] = [];
  const others: number[] = [];
  candidates.forEach((candidate, index) => {
    (candidate.campus === ownCampus ? own : others).push(index);
  });
  const order = [...rotate(own, turn), ...rotate(others, turn)];
  return usableFirst(candidates, order);
}

/** The same order with the usable ones first. */
export function usableFirst(candidates: readonly Candidate[], order: readonly number[]): number[] {
  return [
    ...order.filter((i) => candidates[i]!.usable),
    ...order.filter((i) => !candidates[i]!.usable),
  ];
}

function rotate(indexes: number[], turn: number): number[] {
  const usableTurn = indexes.length === 0 ? 0 : turn % indexes.length;
  return [...indexes.slice(usableTurn), ...indexes.slice(0, usableTurn)];
}
