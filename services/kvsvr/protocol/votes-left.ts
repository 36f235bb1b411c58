/** What votes on a key have left behind at one replica, for a new member that takes it over (S3). */
import type { FetchVotesReply } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { compareBallots, NO_BALLOT } from "./ballot.ts";
import type { Decision } from "./decision.ts";
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

/** The first ones; at least one. */
function takeBytes(decisions: readonly Decision[], bytesMax: number): readonly Decision[] {
  let bytes = 0;
  const end = decisions.findIndex((decision) => {
    const isFull = bytes > bytesMax;
    bytes += decision.bytes.length;
    return isFull;
  });
  return end < 0 ? decisions : decisions.slice(0, end);
}
