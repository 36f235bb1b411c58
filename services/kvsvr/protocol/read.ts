/**
 * Linearizable reads at any replica (S6): what this replica and one other say about the newest
 * version, and what follows from it. Pure; services/kvsvr/reads.ts acts.
 *
 * Any decided version was voted for by two of three, so one of the two asked voted for it: if
 * neither has accepted version n + 1, nothing above n was decided before they answered.
 */
import type { QueryVersionReply } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { planted } from "./planted.ts";
import { isCurrent, type Register } from "./register.ts";

/** What one replica durably knows of a key. */
export interface VersionView {
  readonly version: number;
  /** Digest of a value accepted for version + 1; undefined when there is none. */
  readonly pending: number | undefined;
  /** It holds the value of `version`. */
  readonly holds: boolean;
}

export type ReadVerdict =
  /** The value held here, of this version, is the newest. */
  | { verdict: "local" }
  /** Another replica is ahead: fetch its state, then judge again. */
  | { verdict: "fetch"; version: number }
  /** Version + 1 may be decided: wait, ask the third, or finish it. */
  | { verdict: "pending"; version: number };

export function viewOf(register: Register): VersionView {
  return {
    version: register.known.version,
    pending: register.accepted?.decision.digest,
    holds: isCurrent(register),
  };
}

export function viewOfReply(reply: QueryVersionReply): VersionView {
  return {
    version: reply.knownVersion,
    pending: reply.pending ? reply.pendingDigest : undefined,
    holds: reply.holds,
  };
}

/**
 * No version above this one was decided before the first of those views was given: who holds it holds
 * everything that was acknowledged by then, however far others go on meanwhile.
 */
export function newestPossible(own: VersionView, others: readonly VersionView[]): number {
  return Math.max(
    ...[own, ...others].map(({ version, pending }) => version + (pending === undefined ? 0 : 1)),
  );
}

/** `own` is this replica's view, `others` the answers so far (one or two). */
export function judgeRead(own: VersionView, others: readonly VersionView[]): ReadVerdict {
  const all = [own, ...others];
  const version = Math.max(...all.map((view) => view.version));
  const pending = all.filter(
    (view) => view.version === version && view.pending !== undefined,
  ).length;
  // A single vote among three answers is no majority: version + 1 is not decided.
  if (pending > 0 && !planted("pending-ignored") && !(all.length === 3 && pending === 1))
    return { verdict: "pending", version };
  if (own.version === version && own.holds) return { verdict: "local" };
  return { verdict: "fetch", version };
}
