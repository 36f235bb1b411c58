/**
 * The proposer's decisions: which way a version is proposed, what the answers mean, what comes next.
 * Pure; services/kvsvr/proposals.ts acts on them.
 *
 * Fast path (S2): the owner of the newest version holds ballot 0 of the next and sends its value at
 * once. Everybody else, and the owner after a restart or after an attempt given up, asks first
 * (Prepare) and finishes what it finds before proposing its own.
 */
import type {
  Ballot,
  Owner,
  VoteReply,
} from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { compareBallots, isSameOwner, NO_BALLOT, nextBallot, proposerOf } from "./ballot.ts";
import { type Decision, openDecision } from "./decision.ts";
import { planted } from "./planted.ts";
import { type Accepted, isCurrent, type Register } from "./register.ts";

export type Way =
  /** The newest version known is not held: fetch it first. */
  { way: "fetch" } | { way: "fast"; ballot: Ballot } | { way: "prepare"; ballot: Ballot };

export function chooseWay(register: Register, self: Owner, seen: Ballot): Way {
  if (!isCurrent(register)) return { way: "fetch" };
  const untouched =
    register.accepted === undefined && compareBallots(register.promised, NO_BALLOT) === 0;
  const { version, owner } = register.known;
  const isOwner = planted("ballot-zero-reused")
    ? owner.incarnation > 0 && owner.replica === self.replica
    : isSameOwner(owner, self);
  if (untouched && version > 0 && isOwner)
    return { way: "fast", ballot: { round: 0, proposer: proposerOf(owner) } };
  const highest = compareBallots(register.promised, seen) > 0 ? register.promised : seen;
  return { way: "prepare", ballot: nextBallot(highest, self) };
}

/** What one replica answered, or that it did not. */
export type Answer =
  | { answer: "granted"; accepted: Accepted | undefined }
  | {
      answer: "refused";
      version: number;
      digest: number;
      owner: Owner | undefined;
      promised: Ballot;
    }
  | { answer: "none"; reason: string };

export function readAnswer(reply: VoteReply): Answer {
  switch (reply.vote?.case) {
    case "granted": {
      const { accepted, acceptedBallot } = reply.vote.value;
      const value =
        accepted.length > 0
          ? { ballot: acceptedBallot ?? NO_BALLOT, decision: openDecision(accepted) }
          : undefined;
      return { answer: "granted", accepted: value };
    }
    case "refused": {
      const r = reply.vote.value;
      if (r.barred !== "" && planted("barred-vote-counts"))
        return { answer: "granted", accepted: undefined };
      if (r.barred !== "") return { answer: "none", reason: r.barred };
      return {
        answer: "refused",
        version: r.knownVersion,
        digest: r.knownDigest,
        owner: r.knownOwner,
        promised: r.promised ?? NO_BALLOT,
      };
    }
    default:
      return { answer: "none", reason: "an empty answer" };
  }
}

export type Verdict =
  | { verdict: "wait" }
  | { verdict: "majority" }
  /** Another proposer is ahead: by version (`version` is decided) or by ballot. */
  | {
      verdict: "overtaken";
      version: number;
      digest: number;
      owner: Owner | undefined;
      promised: Ballot;
    }
  /** Two of three cannot or may not answer. */
  | { verdict: "noQuorum"; reason: string };

/** Counts answers, this replica's own included; index = replica number, undefined = none yet. */
export function judge(answers: readonly (Answer | undefined)[]): Verdict {
  let granted = 0;
  let silent = 0;
  let reason = "";
  for (const answer of answers) {
    if (answer === undefined) continue;
    if (answer.answer === "granted") granted += 1;
    else if (answer.answer === "refused") return { verdict: "overtaken", ...answer };
    else {
      silent += 1;
      reason = answer.reason;
    }
  }
  if (granted >= (planted("ack-at-one") ? 1 : 2)) return { verdict: "majority" };
  return silent >= 2 ? { verdict: "noQuorum", reason } : { verdict: "wait" };
}

/** The value that a prepared proposer must propose: the one accepted at the highest ballot, if any. */
export function valueToFinish(answers: readonly (Answer | undefined)[]): Decision | undefined {
  if (planted("found-value-ignored")) return undefined;
  let best: Accepted | undefined;
  for (const answer of answers) {
    if (answer?.answer !== "granted" || answer.accepted === undefined) continue;
    if (best === undefined || compareBallots(answer.accepted.ballot, best.ballot) > 0)
      best = answer.accepted;
  }
  return best?.decision;
}
