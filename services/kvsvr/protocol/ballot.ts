/** Ballots: (round, proposer), where a proposer is one start of one replica. */
import type { Ballot, Owner } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";

export const REPLICAS = 3;
export const NO_BALLOT: Ballot = { round: 0, proposer: 0 };
export const NO_OWNER: Owner = { replica: 0, incarnation: 0 };

/**
 * Each group's incarnations have a range of their own: a register that is moved keeps its owner and its
 * ballots, and no start in another group may be taken for theirs. Eight groups fit into a ballot's 32 bits.
 */
const INCARNATIONS_PER_GROUP = 2 ** 26;
export const GROUPS_MAX = 8;

/** The group's incarnations are above this. */
export function incarnationFloor(group: number): number {
  return (group - 1) * INCARNATIONS_PER_GROUP;
}

/** Below 0: a is lower; 0: the same; above 0: a is higher. */
export function compareBallots(a: Ballot, b: Ballot): number {
  return a.round !== b.round ? a.round - b.round : a.proposer - b.proposer;
}

/** The ballot number of one start of a replica. Incarnations begin at 1, so no proposer is 0. */
export function proposerOf(owner: Owner): number {
  return owner.incarnation * 4 + owner.replica;
}

export function isSameOwner(a: Owner, b: Owner): boolean {
  return a.replica === b.replica && a.incarnation === b.incarnation;
}

/** The lowest ballot of this proposer above `seen`. */
export function nextBallot(seen: Ballot, self: Owner): Ballot {
  return { round: seen.round + 1, proposer: proposerOf(self) };
}
