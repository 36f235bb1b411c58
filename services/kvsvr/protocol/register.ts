/**
 * The register: what one replica durably knows of one key or table, and how inputs change it.
 *
 * Version n of a key is decided by Paxos instance n among three replicas. A replica remembers
 *   known     the newest version it knows to be decided (digest and owner, perhaps not the value)
 *   held      the newest version whose value it has; never above known
 *   promised  the highest ballot promised for version known + 1
 *   accepted  the value accepted for version known + 1, not known to be decided
 *   loose     (tables) changes above held that are, or may be, decided and wait for the ones between
 *
 * `step` is pure: (register, input) -> (register, what to log, what to answer). The log entry is the
 * input itself; replaying inputs through the same function gives the register back. An answer may
 * leave only after its entry is durable: that makes it a vote (S1).
 *
 * A message about version n + 1 proves version n decided (its proposer held it), so a replica that
 * missed n moves on with n's digest alone, votes, and fetches the value later (S2).
 */
import type { Trim } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type {
  Ballot,
  FetchReply,
  FetchVotesReply,
  Operations,
  Owner,
  StampedRow,
} from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { assertRule } from "./assert.ts";
import { compareBallots, NO_BALLOT, NO_OWNER, proposerOf } from "./ballot.ts";
import { absentDigest, type Body, type Decision, openDecision, sealDecision } from "./decision.ts";
import { applyLoose, keepForLater } from "./loose.ts";
import { NO_OPERATIONS } from "./operations.ts";
import { planted } from "./planted.ts";
import { NO_TRIMS, withTrims } from "./trim.ts";

export interface Known {
  readonly version: number;
  readonly digest: number;
  /** NO_OWNER when only version and digest are known. */
  readonly owner: Owner;
}

export type Held =
  | { readonly model: "none" }
  | { readonly model: "key"; readonly decision: Decision }
  | {
      readonly model: "table";
      readonly lastNumber: number;
      readonly operations: Operations;
      /** What was forgotten: such rows may still lie here, and are not the table's any more. */
      readonly trims: readonly Trim[];
    };

export interface Accepted {
  readonly ballot: Ballot;
  readonly decision: Decision;
}

export interface Register {
  readonly known: Known;
  readonly heldVersion: number;
  /** Digest of heldVersion; 0 while a table is being fetched in parts. */
  readonly heldDigest: number;
  readonly held: Held;
  readonly promised: Ballot;
  readonly accepted: Accepted | undefined;
  readonly loose: readonly Decision[];
}

export const EMPTY_REGISTER: Register = {
  known: { version: 0, digest: 0, owner: NO_OWNER },
  heldVersion: 0,
  heldDigest: 0,
  held: { model: "none" },
  promised: NO_BALLOT,
  accepted: undefined,
  loose: [],
};

interface Decided {
  readonly version: number;
  readonly digest: number;
}

export type Input =
  | { kind: "prepare"; version: number; ballot: Ballot; baseDigest: number }
  | { kind: "accept"; ballot: Ballot; decision: Decision; baseDigest: number }
  | { kind: "notice"; version: number; digest: number }
  | { kind: "learn"; decision: Decision }
  | { kind: "fetched"; reply: FetchReply }
  | { kind: "copied"; reply: FetchVotesReply }
  | { kind: "settle"; from: Decided | undefined };

interface Vote {
  readonly granted: boolean;
  /** With a granted prepare: what had been accepted before. */
  readonly accepted: Accepted | undefined;
}

export interface Step {
  readonly register: Register;
  /** The input changed the register: log it; `vote` may leave when it is durable. */
  readonly log: boolean;
  /** Answer to prepare and accept. */
  readonly vote: Vote | undefined;
  /** Rows of the table that this step changes, in order. */
  readonly rows: readonly StampedRow[];
}

const NO_ROWS: readonly StampedRow[] = [];

/** What a table has forgotten; nothing of anything else. */
export function trimsOf({ held }: Register): readonly Trim[] {
  return held.model === "table" ? held.trims : NO_TRIMS;
}

function operationsOf({ held }: Register): Operations {
  return held.model === "table" ? held.operations : NO_OPERATIONS;
}

export function step(register: Register, input: Input): Step {
  switch (input.kind) {
    case "prepare":
      return stepPrepare(register, input);
    case "accept":
      return stepAccept(register, input);
    case "notice":
      return stepNotice(register, input);
    case "learn":
      return stepLearn(register, input.decision);
    case "fetched":
      return stepFetched(register, input.reply);
    case "copied":
      return stepCopied(register, input.reply);
    case "settle":
      return stepSettle(register, input.from);
  }
}

/** This replica has the value of the newest version it knows. */
export function isCurrent(register: Register): boolean {
  return register.heldVersion === register.known.version && !isPartial(register);
}

/**
 * Part of a table was fetched and the rest was not: rows that were changed again since are missing, so
 * what is held is no state that ever was, not even an old one (S8).
 */
export function isPartial({ heldVersion, heldDigest }: Register): boolean {
  return heldVersion > 0 && heldDigest === 0;
}

type Prepare = Extract<Input, { kind: "prepare" }>;
type Accept = Extract<Input, { kind: "accept" }>;

function stepPrepare(register: Register, input: Prepare): Step {
  if (input.version <= register.known.version) return refuse(register);
  const base = proveBase(register, { version: input.version - 1, digest: input.baseDigest });
  if (compareBallots(input.ballot, base.register.promised) < 0)
    return { ...refuse(base.register), ...base };
  const ballot = planted("lost-promise") ? base.register.promised : input.ballot;
  const promised = { ...base.register, promised: ballot };
  return {
    register: promised,
    log: true,
    vote: { granted: true, accepted: promised.accepted },
    rows: base.rows,
  };
}

function stepAccept(register: Register, input: Accept): Step {
  const { decision, ballot } = input;
  if (decision.version <= register.known.version) return stepAcceptDecided(register, decision);
  const base = proveBase(register, { version: decision.version - 1, digest: input.baseDigest });
  const at = base.register;
  if (compareBallots(ballot, at.promised) < 0 && !planted("vote-below-promise"))
    return { ...refuse(at), ...base };
  checkBallotZero(at, input);
  const before = at.accepted;
  if (before !== undefined && compareBallots(before.ballot, ballot) === 0) {
    assertRule(before.decision.digest === decision.digest, "S2: two digests at one ballot", () =>
      JSON.stringify({
        version: decision.version,
        ballot,
        one: before.decision.digest,
        other: decision.digest,
      }),
    );
  }
  const accepted = planted("vote-without-data") ? before : { ballot, decision };
  return {
    register: { ...at, promised: ballot, accepted },
    log: true,
    vote: { granted: true, accepted: undefined },
    rows: base.rows,
  };
}

/** The version is decided already: the same value is as good as accepted, any other is refused. */
function stepAcceptDecided(register: Register, decision: Decision): Step {
  const { known } = register;
  if (decision.version !== known.version || decision.digest !== known.digest)
    return refuse(register);
  const learned = stepLearn(register, decision);
  return { ...learned, vote: { granted: true, accepted: undefined } };
}

/** Ballot 0 of version n + 1 is the owner's alone. */
function checkBallotZero(register: Register, input: Accept): void {
  const { owner } = register.known;
  if (input.ballot.round !== 0 || owner.incarnation === 0) return;
  assertRule(
    input.ballot.proposer === proposerOf(owner),
    "S2: ballot 0 used by another than the owner",
    () => JSON.stringify({ version: input.decision.version, ballot: input.ballot, owner }),
  );
}

function stepNotice(register: Register, input: { version: number; digest: number }): Step {
  if (input.version < register.known.version) return unchanged(register);
  const proved = proveBase(register, input);
  // That an accepted value is decided is proved again by the next Accept, a comparison or a read: it
  // need not be on the disk. That a version passed without its value being here must be.
  const moved = proved.register !== register && proved.register.heldVersion < input.version;
  return { ...proved, log: moved, vote: undefined };
}

/**
 * Version `base` is decided with this digest. If it is the one accepted here, that value becomes the
 * held one; if not, only version and digest are known until the value is fetched.
 */
function proveBase(
  register: Register,
  base: { version: number; digest: number },
): { register: Register; rows: readonly StampedRow[] } {
  const { known, accepted } = register;
  if (base.version === known.version) {
    assertRule(base.digest === known.digest, "S2: two digests of one decided version", () =>
      JSON.stringify({ version: base.version, known: known.digest, told: base.digest }),
    );
    return { register, rows: NO_ROWS };
  }
  if (accepted?.decision.version === base.version && accepted.decision.digest === base.digest) {
    return hold(register, accepted.decision);
  }
  const { version, digest } = base;
  const moved = { ...clearVotes(register), known: { version, digest, owner: NO_OWNER } };
  // Its absence is all there is of it (S5).
  if (digest === absentDigest(version)) return { register: asAbsent(moved), rows: NO_ROWS };
  return { register: keepForLater(moved, accepted?.decision), rows: NO_ROWS };
}

function asAbsent(register: Register): Register {
  const { version, digest } = register.known;
  return {
    ...register,
    heldVersion: version,
    heldDigest: digest,
    held: { model: "none" },
    loose: [],
  };
}

function stepLearn(register: Register, decision: Decision): Step {
  if (decision.version <= register.heldVersion) return unchanged(register);
  if (decision.version === register.known.version) {
    assertRule(
      decision.digest === register.known.digest,
      "S2: two digests of one decided version",
      () =>
        JSON.stringify({
          version: decision.version,
          known: register.known.digest,
          told: decision.digest,
        }),
    );
  }
  const held = hold(register, decision);
  return { ...held, log: held.register !== register, vote: undefined };
}

/** Takes in a decided value: held at once, or, a table's change with a gap before it, kept loose. */
function hold(
  register: Register,
  decision: Decision,
): { register: Register; rows: readonly StampedRow[] } {
  const advanced =
    decision.version > register.known.version ? advance(register, decision) : register;
  if (decision.model === "key") {
    const known = withOwner(advanced.known, decision);
    const held: Held = { model: "key", decision };
    return {
      register: {
        ...advanced,
        known,
        heldVersion: decision.version,
        heldDigest: decision.digest,
        held,
      },
      rows: NO_ROWS,
    };
  }
  return applyLoose({ ...advanced, known: withOwner(advanced.known, decision) }, decision);
}

function advance(register: Register, decision: Decision): Register {
  const { version, digest } = decision;
  const lost = register.accepted?.decision;
  const moved = { ...clearVotes(register), known: { version, digest, owner: decision.owner } };
  return lost !== undefined && lost.digest !== digest ? keepForLater(moved, lost) : moved;
}

function withOwner(known: Known, decision: Decision): Known {
  return known.version === decision.version ? { ...known, owner: decision.owner } : known;
}

function clearVotes(register: Register): Register {
  return { ...register, promised: NO_BALLOT, accepted: undefined };
}

/**
 * The state of a peer that holds more: a whole key, or the rows of a table above what is held here. It
 * may be older than what is known: of a table nobody may hold all, and each replica loose changes that
 * lead on from there.
 */
function stepFetched(register: Register, reply: FetchReply): Step {
  const { version, body } = reply;
  if (version <= register.heldVersion) return unchanged(register);
  if (body?.case === "decision") {
    if (version < register.known.version) return unchanged(register);
    return stepLearn(register, openDecision(body.value));
  }
  if (
    body === undefined &&
    version > register.known.version &&
    reply.digest === absentDigest(version)
  )
    return { ...proveBase(register, reply), log: true, vote: undefined };
  if (body?.case !== "table") return unchanged(register);
  const diff = body.value;
  // A part that comes late, after another way has brought more, must not take anything back.
  if (diff.throughVersion <= register.heldVersion) return unchanged(register);
  const whole = diff.throughVersion === version;
  // They come with the last part; what is not whole proposes nothing.
  const { kept, forgottenMs } = diff.operations ?? operationsOf(register);
  // The reply's buffer also holds the rows: not to be kept for the sake of the ids.
  const operations = { kept: new Uint8Array(kept), forgottenMs };
  const added = planted("trimmed-rows-come-back") ? NO_TRIMS : diff.trims;
  const trims = withTrims(trimsOf(register), added);
  const next: Register = {
    ...knowFetched(register, reply),
    heldVersion: diff.throughVersion,
    heldDigest: whole ? reply.digest : 0,
    held: { model: "table", lastNumber: diff.lastNumber, operations, trims },
    loose: register.loose.filter((d) => d.version > diff.throughVersion),
  };
  const applied = whole ? applyLoose(next, undefined) : { register: next, rows: NO_ROWS };
  const rows = [...diff.rows, ...applied.rows];
  return { register: applied.register, log: true, vote: undefined, rows };
}

function knowFetched(register: Register, { version, digest, owner = NO_OWNER }: FetchReply) {
  const { known } = register;
  if (version < known.version) return register;
  if (version === known.version) return { ...register, known: { ...known, owner } };
  return { ...clearVotes(register), known: { version, digest, owner } };
}

/**
 * A new member takes over what another replica's votes have left behind, as if it had voted like it
 * (S3). Of two others it takes over both: of promises and accepted values the higher ballot's, so that
 * every value that the lost member had accepted together with one of them stays found.
 */
function stepCopied(register: Register, reply: FetchVotesReply): Step {
  const base = { version: reply.knownVersion, digest: reply.knownDigest };
  const isBehind = base.version < register.known.version;
  const proved = isBehind ? { register, rows: NO_ROWS } : proveBase(register, base);
  let at = proved.register;
  const rows = [...proved.rows];
  const learn = (decision: Decision) => {
    const held = hold(at, decision);
    at = held.register;
    rows.push(...held.rows);
  };
  for (const bytes of reply.loose) at = keepForLater(at, openDecision(bytes));
  const ballot = reply.acceptedBallot ?? NO_BALLOT;
  const decision = reply.accepted.length === 0 ? undefined : openDecision(reply.accepted);
  if (decision !== undefined && decision.version === at.known.version + 1) {
    const isHigher = at.accepted === undefined || compareBallots(ballot, at.accepted.ballot) > 0;
    if (isHigher) at = { ...at, accepted: { ballot, decision } };
  } else if (decision?.version === at.known.version && decision.digest === at.known.digest) {
    if (decision.version > at.heldVersion) learn(decision);
  } else at = keepForLater(at, decision);
  const promised = reply.promised ?? NO_BALLOT;
  const isNewer = base.version === at.known.version && compareBallots(promised, at.promised) > 0;
  if (isNewer) at = { ...at, promised };
  if (at.loose.length > 0) {
    const applied = applyLoose(at, undefined);
    at = applied.register;
    rows.push(...applied.rows);
  }
  return { register: at, log: at !== register, vote: undefined, rows };
}

/**
 * Both other replicas are gone for good, and with them versions that are known here and not held. A key
 * that was accepted after them is taken for decided; else what is held goes on, under a version that
 * nobody has seen. Of what nothing is held nothing is left.
 *
 * It is about what was known then, `from`: taken in from the log once more, over a register that has gone
 * on and knows of a newer version, it would give that one up, and others hold it. (Records of earlier
 * versions do not say.)
 */
function stepSettle(register: Register, from: Decided | undefined): Step {
  if (isCurrent(register)) return unchanged(register);
  const isOther =
    from !== undefined &&
    (from.version !== register.known.version || from.digest !== register.known.digest);
  if (isOther) return unchanged(register);
  const { known, held, heldDigest, accepted } = register;
  if (accepted?.decision.model === "key")
    return { ...hold(register, accepted.decision), log: true, vote: undefined };
  const newest = Math.max(known.version, accepted?.decision.version ?? 0);
  const settled = settledAs(held, heldDigest, newest + 1);
  return { register: settled, log: true, vote: undefined, rows: NO_ROWS };
}

function settledAs(held: Held, baseDigest: number, version: number): Register {
  if (held.model === "none") return EMPTY_REGISTER;
  const unchangedTable = { rows: [], lastNumber: 0, operations: undefined, baseDigest, trims: [] };
  const body: Body =
    held.model === "key"
      ? { case: "key", value: held.decision.key }
      : { case: "table", value: unchangedTable };
  const decision = sealDecision(version, NO_OWNER, body);
  const { digest } = decision;
  return {
    ...EMPTY_REGISTER,
    known: { version, digest, owner: NO_OWNER },
    heldVersion: version,
    heldDigest: digest,
    held: held.model === "key" ? { model: "key", decision } : held,
  };
}

function refuse(register: Register): Step {
  return { register, log: false, vote: { granted: false, accepted: undefined }, rows: NO_ROWS };
}

function unchanged(register: Register): Step {
  return { register, log: false, vote: undefined, rows: NO_ROWS };
}
