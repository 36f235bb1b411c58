/** Ballots: (round, proposer), where a proposer is one start of one replica. */
import type { Ballot, Owner } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";

export const REPLICAS = 3;
export const NO_BALLOT: Ballot = { round: 0, proposer: 0 };
export const NO_OWNER: Owner = { replica: 0, incarnation: 0 };

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
