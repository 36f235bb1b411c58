/** The other two replicas of the group, as this one calls them. */
import type { Key } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import {
  type Proposal,
  type QueryVersionReply,
  Replica,
  type VoteReply,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { TokenBuckets } from "../svrkit/admission/token-buckets.ts";
import { type CallOptions, monotonicMs } from "../svrkit/call.ts";
import type { Callee } from "../svrkit/client.ts";
import { RpcError } from "../svrkit/errors.ts";
import type { Method } from "../svrkit/method.ts";
import { isSampled } from "../svrkit/tracing/context.ts";
import { PEER_TIMEOUT_MS } from "./limits.ts";
import type { HeldEpoch } from "./protocol/admission.ts";
import { REPLICAS } from "./protocol/ballot.ts";
import { type Asker, askTogether, TurnBatch } from "./turn-batch.ts";

/**
 * Votes, version queries and decisions passed on that are traced: each is a span, and the former a call of
 * their own, and a process keeps few spans. As many a second as the requests that may ask to be traced (sampler.ts).
 */
export const TRACED_PER_SECOND = 10;
export const TRACED_BURST = 50;

/** `trace`: what its votes belong to, when that is sampled. */
export interface TracedProposal extends Proposal {
  readonly trace: Uint8Array;
}

export class Peers {
  readonly #callee: Callee;
  readonly #self: number;
  readonly #group: HeldEpoch;
  readonly others: readonly [number, number];
  readonly #votes: readonly TurnBatch<Proposal, VoteReply>[];
  readonly #queries: readonly TurnBatch<Key, QueryVersionReply>[];
  readonly #catchingUp = new Set<number>();
  readonly #traced = new TokenBuckets({ perSecond: TRACED_PER_SECOND, burst: TRACED_BURST });

  /** `callee`: the group's replicas in the order of their numbers; `self`: this one's number. */
  constructor(callee: Callee, self: number, group: HeldEpoch) {
    this.#callee = callee;
    this.#self = self;
    this.#group = group;
    this.others = [(self + 1) % REPLICAS, (self + 2) % REPLICAS];
    const replicas = Array.from({ length: REPLICAS }, (_, replica) => replica);
    this.#votes = replicas.map(
      (replica) =>
        new TurnBatch(replica, (proposals, tell) => this.#sendVotes(replica, proposals, tell)),
    );
    this.#queries = replicas.map(
      (replica) => new TurnBatch(replica, (keys, tell) => this.#sendQueries(replica, keys, tell)),
    );
  }

  async #sendVotes(
    replica: number,
    proposals: Proposal[],
    tell: (index: number, vote: VoteReply) => void,
    trace?: Uint8Array,
  ): Promise<void> {
    const { epoch } = this.#group;
    const { votes } = await this.call(replica, Replica.vote, { proposals, epoch }, { trace });
    requireEpoch(this.#group, epoch);
    for (let i = 0; i < votes.length; i++) tell(i, votes[i]!);
  }

  async #sendQueries(
    replica: number,
    keys: Key[],
    tell: (index: number, reply: QueryVersionReply) => void,
    trace?: Uint8Array,
  ): Promise<void> {
    const { epoch } = this.#group;
    const { replies } = await this.call(replica, Replica.queryVersions, { keys, epoch }, { trace });
    requireEpoch(this.#group, epoch);
    for (let i = 0; i < replies.length; i++) tell(i, replies[i]!);
  }

  /** Asks for a vote, together with everything else of this turn; what is traced is asked for alone. */
  vote(replica: number, proposal: TracedProposal, bytes: number, asker: Asker<VoteReply>): void {
    const { trace } = proposal;
    if (!this.traces("votes", trace)) this.#votes[replica]!.add(proposal, bytes, asker);
    else
      askTogether(replica, { items: [proposal], askers: [asker] }, (proposals, tell) =>
        this.#sendVotes(replica, proposals, tell, trace),
      );
  }

  /** Asks for a key's newest version: sent after this call, never answered by an earlier question. */
  queryVersion(
    replica: number,
    { key, trace }: { key: Key; trace: Uint8Array },
    asker: Asker<QueryVersionReply>,
  ): void {
    if (!this.traces("queries", trace)) this.#queries[replica]!.add(key, key.key.length, asker);
    else
      askTogether(replica, { items: [key], askers: [asker] }, (keys, tell) =>
        this.#sendQueries(replica, keys, tell, trace),
      );
  }

  /** Whether one more of these is shown in the trace; it then counts as shown. */
  traces(what: "votes" | "queries" | "decisions", trace: Uint8Array): boolean {
    return isSampled(trace) && this.#traced.take(what, monotonicMs());
  }

  usable(replica: number): boolean {
    return this.#callee.peers[replica]!.usable;
  }

  /** May be given a client's call (S10). */
  takesCalls(replica: number): boolean {
    return this.#callee.takesCalls(replica);
  }

  /** A peer's pipeline says whether it has missed much, and leaves clients to the others. */
  heardOf(replica: number, catchingUp: boolean): void {
    if (catchingUp) this.#catchingUp.add(replica);
    else this.#catchingUp.delete(replica);
  }

  /**
   * Both others, the one to ask first in front: by the key's own hash among those that answer. One that
   * catches up comes second, for its log has much to write, and so does a blocked one (S10): it is asked
   * when the other alone does not do, as a last resort.
   */
  preference(registerKey: Buffer): readonly [number, number] {
    const [one, two] = this.others;
    const last = registerKey[registerKey.length - 1]! ^ registerKey[2]!;
    const first = (last & 1) === 0 ? one : two;
    const second = first === one ? two : one;
    if (this.takesCalls(first) && !this.#catchingUp.has(first)) return [first, second];
    return this.#reluctance(first) <= this.#reluctance(second) ? [first, second] : [second, first];
  }

  #reluctance(replica: number): number {
    if (this.#callee.isBlocked(replica)) return 3;
    if (!this.usable(replica)) return 2;
    return this.#catchingUp.has(replica) ? 1 : 0;
  }

  /** One attempt; rejects when the peer refuses, fails or stays silent. */
  call<I, O>(
    replica: number,
    method: Method<I, O>,
    request: I,
    {
      timeoutMs = PEER_TIMEOUT_MS,
      trace,
    }: { timeoutMs?: number; trace?: Uint8Array | undefined } = {},
  ): Promise<O> {
    return this.#callee.callOne(replica, method, request, { timeoutMs, trace });
  }

  /** Passes a client's call on, under its own operation id. */
  pass<I, O>(replica: number, method: Method<I, O>, request: I, options: CallOptions): Promise<O> {
    return this.#callee.callOne(replica, method, request, options);
  }

  get self(): number {
    return this.#self;
  }
}

/** Answers of an epoch that is over count for nothing. */
function requireEpoch(group: HeldEpoch, epoch: number): void {
  if (group.epoch === epoch) return;
  throw new RpcError("UNAVAILABLE", `the answer is of group epoch ${epoch}, now is ${group.epoch}`);
}
