/** What a replica answers to votes and version queries, in the words of the wire. */
import type {
  QueryVersionReply,
  VoteReply,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { type Accepted, isCurrent, type Register } from "./protocol/register.ts";

export const ACCEPTED: VoteReply = {
  vote: { case: "granted", value: { acceptedBallot: undefined, accepted: NO_BYTES } },
};

export function promiseOf(before: Accepted | undefined): VoteReply {
  const accepted = before?.decision.bytes ?? NO_BYTES;
  return { vote: { case: "granted", value: { acceptedBallot: before?.ballot, accepted } } };
}

export function versionReply(register: Register, barred: string): QueryVersionReply {
  const { known, accepted } = register;
  return {
    knownVersion: known.version,
    knownDigest: known.digest,
    knownOwner: known.owner,
    pending: accepted !== undefined,
    pendingDigest: accepted?.decision.digest ?? 0,
    holds: isCurrent(register),
    barred,
  };
}

/** "I do not know" (S3): counts for nothing. */
export function unknownVersion(reason: string): QueryVersionReply {
  const nothing = { knownVersion: 0, knownDigest: 0, knownOwner: undefined };
  return { ...nothing, pending: false, pendingDigest: 0, holds: false, barred: reason };
}

export function barredVote(reason: string): VoteReply {
  const nothing = { knownVersion: 0, knownDigest: 0, knownOwner: undefined, promised: undefined };
  return { vote: { case: "refused", value: { ...nothing, barred: reason } } };
}

export function refusedVote(register: Register): VoteReply {
  const { known, promised } = register;
  const { version, digest, owner } = known;
  return {
    vote: {
      case: "refused",
      value: {
        knownVersion: version,
        knownDigest: digest,
        knownOwner: owner,
        promised,
        barred: "",
      },
    },
  };
}
