/**
 * What votes on a key have left behind at one replica: for a new member that takes it over (S3), and for
 * a replica that lacks changes which nobody holds any more (repair.ts).
 */
import type { FetchVotesReply } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { compareBallots, NO_BALLOT } from "./ballot.ts";
import { type Decision, openDecision } from "./decision.ts";
import type { Register } from "./register.ts";

export function hasVotes({ promised, accepted, loose }: Register): boolean {
  return accepted !== undefined || loose.length > 0 || compareBallots(promised, NO_BALLOT) > 0;
}

/** `above`, `bytesMax`: loose changes come in parts, from above this version, of about this size. */
export function votesLeft(register: Register, above: number, bytesMax: number): FetchVotesReply {
  const { known, promised, accepted } = register;
  const loose = register.loose.filter((decision) => decision.version > above);
  const part = takeBytes(loose, bytesMax);
  return {
    knownVersion: known.version,
    knownDigest: known.digest,
    knownOwner: known.owner,
    promised,
    acceptedBallot: accepted?.ballot,
    accepted: accepted?.decision.bytes ?? new Uint8Array(0),
    loose: part.map((decision) => decision.bytes),
    looseThrough: part.at(-1)?.version ?? above,
    more: part.length < loose.length,
    barred: "",
  };
}

/**
 * Of that only what may be decided, for a replica that votes itself: no promise, and no value accepted for
 * a version that neither knows to be decided.
 */
export function withoutBallots(reply: FetchVotesReply, { known }: Register): FetchVotesReply {
  const newest = Math.max(known.version, reply.knownVersion);
  const isOpen = reply.accepted.length > 0 && openDecision(reply.accepted).version > newest;
  const accepted = isOpen ? new Uint8Array(0) : reply.accepted;
  return { ...reply, promised: undefined, acceptedBallot: undefined, accepted };
}

/** The first ones, in order of versions; at least one, and of each version all. */
function takeBytes(decisions: readonly Decision[], bytesMax: number): readonly Decision[] {
  let bytes = 0;
  const end = decisions.findIndex((decision, at) => {
    const isFull = bytes > bytesMax && decision.version !== decisions[at - 1]?.version;
    bytes += decision.bytes.length;
    return isFull;
  });
  return end < 0 ? decisions : decisions.slice(0, end);
}
