/**
 * One replica of a KV group: what its parts share, and its votes.
 *
 *   proposals.ts  writes: proposes versions          reads.ts     linearizable reads
 *   repair.ts     fetches what others have           pipeline/    streams decided versions
 *   holdings.ts   what others fetch from it          handlers.ts  clients' calls
 *   storage/      registers, log, engine             protocol/    every decision, pure
 */

import type { Key } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type {
  Owner,
  PipelineReply,
  PipelineRequest,
  Proposal,
  QueryVersionsReply,
  QueryVersionsRequest,
  SealReply,
  SealRequest,
  VoteReply,
  VoteRequest,
  VotesReply,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { RpcError, requireArgument } from "../svrkit/errors.ts";
import type { Logger } from "../svrkit/log.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { beginSpan, type Span } from "../svrkit/tracing/span.ts";
import {
  ACCEPTED,
  barredVote,
  promiseOf,
  refusedVote,
  unknownVersion,
  versionReply,
} from "./answers.ts";
import { CATCH_UP_MS_MAX, KEY_BYTES_MAX } from "./limits.ts";
import type { Peers } from "./peers.ts";
import { Outbox } from "./pipeline/outbox.ts";
import type { HeldEpoch } from "./protocol/admission.ts";
import { ProtocolViolation } from "./protocol/assert.ts";
import { NO_BALLOT } from "./protocol/ballot.ts";
import { openDecision } from "./protocol/decision.ts";
import { type Input, isCurrent, type Register, type Step } from "./protocol/register.ts";
import { Slices } from "./slices.ts";
import { overlaps, type SlotHolding } from "./slots/plan/held-slots.ts";
import type { SlotTable } from "./slots/slot-table.ts";
import type { Entry } from "./storage/entry.ts";
import type { State } from "./storage/state.ts";

const versionsTold = monitorId("kvsvr.versions_told");

export interface ReplicaParts {
  readonly self: Owner;
  readonly group: HeldEpoch;
  readonly state: State;
  readonly peers: Peers;
  readonly slots: SlotTable;
  readonly log: Logger;
  /** Going on would risk promises: must end the process. */
  readonly fatal: (error: Error) => void;
}

export const IS_FROZEN = "what is deleted or absent in its slot is being forgotten: retry";
const CATCHES_UP = "it catches up with the others";
const REACHES_NOBODY = "it reaches no other replica";

export class Replica {
  readonly self: Owner;
  readonly group: HeldEpoch;
  readonly state: State;
  readonly peers: Peers;
  /** Which slots are this replica's to vote on. */
  readonly slots: SlotTable;
  readonly log: Logger;
  /** Going on would risk promises: ends the process. */
  readonly fatal: (error: Error) => void;
  readonly #outboxes: ReadonlyMap<number, Outbox>;
  /** Called with keys whose newest version is known and not held. */
  onBehind: (entry: Entry) => void = () => {};
  /** Called when a peer says that it dropped part of its pipeline to us. */
  onGap: (peer: number) => void = () => {};
  /** Why this replica may not vote or serve; undefined when it may. */
  barred: string | undefined = "it has not met another replica since it started";

  constructor(parts: ReplicaParts) {
    this.self = parts.self;
    this.group = parts.group;
    this.state = parts.state;
    this.peers = parts.peers;
    this.slots = parts.slots;
    this.log = parts.log;
    this.fatal = parts.fatal;
    this.#outboxes = new Map(
      parts.peers.others.map((peer) => [peer, new Outbox(parts.peers, peer, parts.group)]),
    );
  }

  /** Of the group's membership; what others send in another one counts for nothing. */
  get epoch(): number {
    return this.group.epoch;
  }

  entry(key: Key | undefined): Entry {
    return this.state.entry(this.checked(key));
  }

  /** A key as others may name it. */
  checked(key: Key | undefined): Key {
    requireArgument(
      key !== undefined && key.keyspace !== 0,
      "the request names no key or keyspace",
    );
    requireArgument(
      key.key.length > 0 && key.key.length <= KEY_BYTES_MAX,
      `a key of ${key.key.length} bytes: 1 to ${KEY_BYTES_MAX} are allowed`,
    );
    return key;
  }

  /** The entry of a key that is this replica's to serve. */
  servedEntry(key: Key | undefined): Entry {
    const entry = this.entry(key);
    this.slots.requireServed(entry.registerKey);
    return entry;
  }

  /**
   * Steps a register; a broken rule of the protocol ends the process, loudly. Votes are refused where
   * the slot is not this replica's, and a sealed register stays as it is (S9).
   */
  take(entry: Entry, input: Input): Step {
    const isVote = input.kind === "prepare" || input.kind === "accept";
    if (isVote && this.isFrozen(entry)) return frozen(entry.register);
    const isServed = this.slots.serves(entry.registerKey);
    if (!isServed) {
      if (isVote) this.slots.requireServed(entry.registerKey);
      if (!this.slots.learns(entry.registerKey)) return unchanged(entry.register);
    }
    try {
      const taken = this.state.take(entry, input);
      if (isServed && !isCurrent(entry.register)) this.onBehind(entry);
      return taken;
    } catch (error) {
      if (error instanceof ProtocolViolation) this.fatal(error);
      throw error;
    }
  }

  /** It is being forgotten: nothing may be decided about it until that has ended (S5). */
  isFrozen(entry: Entry): boolean {
    return (
      this.slots.forgetting !== undefined && this.slots.freezes(entry.registerKey, entry.register)
    );
  }

  outbox(peer: number): Outbox {
    return this.#outboxes.get(peer)!;
  }

  /**
   * Votes on many keys, answered when all that was granted is durable. One that fails is a vote that
   * is missing, and hurts no other.
   */
  async vote(request: VoteRequest): Promise<VotesReply> {
    const bar = this.bar(request.epoch);
    if (bar !== undefined) return { votes: request.proposals.map(() => barredVote(bar)) };
    const marks: number[] = [];
    const votes = request.proposals.map((proposal, i) => {
      try {
        const entry = this.entry(proposal.key);
        if (this.isFrozen(entry)) throw new RpcError("UNAVAILABLE", IS_FROZEN);
        const vote = this.#voteOn(entry, proposal);
        marks[i] = entry.logged;
        return vote;
      } catch (error) {
        marks[i] = 0;
        return barredVote(RpcError.from(error).message);
      }
    });
    return { votes: await this.#whenDurable(votes, marks, barredVote) };
  }

  /** The answers once what they rest on is durable; when the disk refuses, `failed` for the others. */
  async #whenDurable<T>(
    answers: T[],
    marks: readonly number[],
    failed: (reason: string) => T,
  ): Promise<T[]> {
    try {
      await this.state.durable(Math.max(0, ...marks));
      return answers;
    } catch (error) {
      const reason = RpcError.from(error).message;
      return answers.map((a, i) => (this.state.isDurable(marks[i]!) ? a : failed(reason)));
    }
  }

  #voteOn(entry: Entry, proposal: Proposal): VoteReply {
    const { version, baseDigest, decision: encoded, ballot = NO_BALLOT } = proposal;
    if (encoded.length === 0) {
      const taken = this.take(entry, { kind: "prepare", version, ballot, baseDigest });
      return taken.vote?.granted === true
        ? promiseOf(taken.vote.accepted)
        : refusedVote(entry.register);
    }
    const decision = openDecision(encoded);
    const taken = this.take(entry, { kind: "accept", ballot, decision, baseDigest });
    return taken.vote?.granted === true ? ACCEPTED : refusedVote(entry.register);
  }

  /** Answered from durable state: what is not yet on the disk could be forgotten again (S6). */
  async queryVersions(request: QueryVersionsRequest): Promise<QueryVersionsReply> {
    const bar = this.barRead(request.epoch) ?? "";
    const marks: number[] = [];
    const replies = request.keys.map((key, i) => {
      try {
        const entry = this.servedEntry(key);
        marks[i] = entry.logged;
        return versionReply(entry.register, bar);
      } catch (error) {
        marks[i] = 0;
        return unknownVersion(RpcError.from(error).message);
      }
    });
    const told = await this.#whenDurable(replies, marks, unknownVersion);
    monitor.add(versionsTold, told.length);
    return { replies: told };
  }

  /** Answered when it is durable, so that a sender never gives more than the disk takes. */
  async pipeline(request: PipelineRequest): Promise<PipelineReply> {
    const bar = this.bar(request.epoch);
    if (bar !== undefined) return { barred: bar, catchingUp: false };
    let logged = 0;
    // After an absence batches come back to back, and votes wait behind each.
    const slices = new Slices();
    const startedMs = monotonicMs();
    const spans: Span[] = [];
    for (const { key, item, trace } of request.items) {
      if (slices.isOver) await slices.next();
      const span = beginSpan(trace, { name: "Replica/Learn", kind: "queue", startedMs });
      if (span !== undefined) spans.push(span);
      // What it misses of a damaged key comes when that is renewed, or is found by comparing.
      const entry = this.state.readable(this.checked(key));
      if (entry === undefined) continue;
      if (item?.case === "notice") this.take(entry, { kind: "notice", ...item.value });
      if (item?.case === "decision")
        this.take(entry, { kind: "learn", decision: openDecision(item.value) });
      logged = Math.max(logged, entry.logged);
    }
    await this.state.durable(logged);
    for (const span of spans) span.end();
    if (request.gap) this.onGap(request.from);
    return { barred: "", catchingUp: this.isCatchingUp };
  }

  #catchingUp = 0;
  /** No other replica can be reached: nothing can be confirmed or decided here. */
  isolated = false;

  /** Another replica serves clients, as far as is known: asked while this one catches up. */
  othersServe = true;

  /** Votes, but leaves clients to the others that serve them until `done`, or for so long. */
  catchUpUntil(done: Promise<void>, limitMs = CATCH_UP_MS_MAX): void {
    this.#catchingUp += 1;
    let isOver = false;
    const end = () => {
      clearTimeout(limit);
      if (!isOver) this.#catchingUp -= 1;
      isOver = true;
    };
    const limit = setTimeout(end, limitMs).unref();
    void done.finally(end);
  }

  get isCatchingUp(): boolean {
    return this.#catchingUp > 0;
  }

  get #leavesClients(): boolean {
    return this.isCatchingUp && this.othersServe;
  }

  get isServing(): boolean {
    return this.barred === undefined && !this.isolated && !this.#leavesClients;
  }

  /** Why the group must not count on this replica yet; undefined when it serves and is caught up. */
  get unreadiness(): string | undefined {
    if (this.barred !== undefined) return this.barred;
    if (this.isCatchingUp) return CATCHES_UP;
    return this.isolated ? REACHES_NOBODY : undefined;
  }

  /**
   * Throws UNAVAILABLE while this replica may not serve clients: another one can. `mayBeOld`: what is
   * held here is good enough, so being alone is no reason.
   */
  requireServing(mayBeOld = false): void {
    if (this.isServing) return;
    const isBehind = this.#leavesClients;
    if (mayBeOld && this.barred === undefined && !isBehind) return;
    const why = this.barred ?? (isBehind ? CATCHES_UP : REACHES_NOBODY);
    throw new RpcError("UNAVAILABLE", `replica ${this.self.replica} may not serve: ${why}`);
  }

  /**
   * Why a peer's call is refused; undefined when it is not. Epoch 0: the asker is no member and only looks
   * (an operator); what it hears is no vote.
   */
  barRead(epoch: number): string | undefined {
    return epoch === 0 ? this.barred : this.bar(epoch);
  }

  /** The same for what counts as a vote, or is one. */
  bar(epoch: number): string | undefined {
    if (this.barred !== undefined) return this.barred;
    return epoch === this.epoch
      ? undefined
      : `its group epoch is ${this.epoch}, the caller's ${epoch}`;
  }

  /**
   * Serves these slots no more, for a move's target to take them over: answered when that is durable,
   * and everything that this replica's answers rest on.
   */
  async seal({ move, to, ranges, takesFloors }: SealRequest): Promise<SealReply> {
    if (this.barred !== undefined) return { refused: this.barred, floors: [] };
    const floors = this.slots.floorsWithin(ranges);
    if (floors.length > 0 && !takesFloors)
      return { refused: "its target is of a version that does not know floors", floors: [] };
    const { forgetting } = this.slots;
    if (forgetting !== undefined && ranges.some((range) => overlaps(range, forgetting.span)))
      return { refused: "tombstones of these slots are being forgotten: soon", floors: [] };
    const mayBeSealed = (holding: SlotHolding) =>
      holding.state === "owned" || (holding.state === "sealed" && holding.move === move);
    if (!this.slots.all(ranges, mayBeSealed))
      return { refused: "it holds no votes on these slots any more", floors: [] };
    this.slots.hold(ranges, { state: "sealed", move, to });
    await this.state.durable(this.state.logged);
    return { refused: "", floors };
  }

  stop(): void {
    for (const outbox of this.#outboxes.values()) outbox.stop();
  }
}

function frozen(register: Register): Step {
  return { register, log: false, vote: { granted: false, accepted: undefined }, rows: [] };
}

function unchanged(register: Register): Step {
  return { register, log: false, vote: undefined, rows: [] };
}
