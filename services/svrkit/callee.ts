/**
 * A service as its callers see it: all replicas in all campuses, which of them to ask, and what became of
 * what was asked. How one call goes from replica to replica is told in pending-call.ts.
 */
import { type Call, type CallOptions, DEFAULT_TIMEOUT_MS, monotonicMs } from "./call.ts";
import { NO_BYTES } from "./codec.ts";
import { inForce } from "./config/limits-in-force.ts";
import { RpcError } from "./errors.ts";
import type { Blocks } from "./failover/blocks.ts";
import { RetryBudget } from "./failover/budget.ts";
import type { LocalReplica } from "./failover/local-replica.ts";
import { Outlier } from "./failover/outlier.ts";
import { Peer } from "./failover/peer.ts";
import { pickOrder, usableFirst } from "./failover/pick.ts";
import { Typical } from "./failover/typical.ts";
import type { Method } from "./method.ts";
import { monitor, monitorId } from "./monitors/monitor.ts";
import { BytesRequest, type Outgoing, TypedRequest } from "./outgoing.ts";
import { headOf, isRefusedThere, NEVER_MS, PendingCall, SingleAttempt } from "./pending-call.ts";
import { isFull, noRoom } from "./room.ts";

export type Replica = Peer | LocalReplica;

interface Answered {
  readonly tookMs: number;
  readonly nowMs: number;
  /** It had been told to be late. */
  readonly isLate: boolean;
  /** It tells how long such calls take as a rule. */
  readonly isUsual: boolean;
}

const ejections = monitorId("svrkit.replicas_left_out");

export class Callee {
  readonly service: string;
  readonly peers: readonly Replica[];
  readonly budget = new RetryBudget();
  readonly #campus: string;
  readonly #caller: string;
  readonly #outliers: readonly Outlier[];
  readonly #typical = new Map<number, Typical>();
  /** The replica of the own campus; -1: there is none, or it is blocked. */
  #own = -1;
  /** By peer; undefined when none is blocked, so that then no call looks. */
  #blocked: readonly boolean[] | undefined;
  /** Some replica is left out: then every call looks which. */
  #someOut = false;
  #turn = 0;
  #open = 0;

  constructor(
    service: string,
    peers: readonly Replica[],
    options: { campus: string; caller: string; blocks: Blocks },
  ) {
    const { blocks } = options;
    this.service = service;
    this.peers = peers;
    this.#campus = options.campus;
    this.#caller = options.caller;
    this.#outliers = peers.map(() => new Outlier());
    this.#heed(blocks);
    blocks.onChange(() => this.#heed(blocks));
  }

  #heed(blocks: Blocks): void {
    const blocked = this.peers.map((p) => blocks.find(p.campus, this.service) !== undefined);
    this.#blocked = blocked.includes(true) ? blocked : undefined;
    const own = this.peers.findIndex((p) => p.campus === this.#campus);
    this.#own = this.isBlocked(own) ? -1 : own;
  }

  /** The replica is left out as long as any other can be asked. */
  isBlocked(index: number): boolean {
    return this.#blocked?.[index] === true;
  }

  /** Worth a new call: not known to be down or unwell, and not blocked. */
  takesCalls(index: number): boolean {
    return this.peers[index]!.usable && !this.isBlocked(index) && !this.#isOut(index);
  }

  #isOut(index: number): boolean {
    return this.#someOut && this.#outliers[index]!.isOut;
  }

  /** By what the replica last told of its level it would refuse a call of this priority. */
  refuses(index: number, priority: number, nowMs: number): boolean {
    const peer = this.peers[index]!;
    const session = peer instanceof Peer ? peer.ready : undefined;
    return session !== undefined && isRefusedThere(session, priority, nowMs);
  }

  /** Tried at one replica after another until one answers, or the deadline passes. */
  call<I, O>(method: Method<I, O>, request: I, options: CallOptions = {}): Promise<O> {
    return this.#start(new TypedRequest(method, request), options);
  }

  /** Forwards an encoded request without looking into it; resolves to the encoded response. */
  callBytes(hash: number, request: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#start(new BytesRequest(hash, request), options);
  }

  #start<O>(request: Outgoing<O>, options: CallOptions): Promise<O> {
    const nowMs = monotonicMs();
    const call = this.#callOf(options, nowMs);
    if (isFull(this.#open, inForce.calleeCallsMax, call.priority)) {
      const why = `${this.#open} calls of ${this.service} are open in this process`;
      return Promise.reject(noRoom(why, call.priority));
    }
    this.#open += 1;
    this.budget.earn();
    return new Promise<O>((resolve, reject) => {
      const { order, heard, hedgeAfterMs } = options;
      new PendingCall({ callee: this, request, call, order, heard, resolve, reject }).start(
        nowMs,
        hedgeAfterMs,
      );
    });
  }

  /** One attempt at one replica, by its index; no failover, no second try. */
  callOne<I, O>(
    index: number,
    method: Method<I, O>,
    request: I,
    options: CallOptions = {},
  ): Promise<O> {
    const nowMs = monotonicMs();
    const call = this.#callOf(options, nowMs);
    const peer = this.peers[index]!;
    return new Promise<O>((resolve, reject) => {
      const outgoing = new TypedRequest(method, request);
      const waits = options.waits === true;
      const lateMs = waits ? NEVER_MS : nowMs + this.typical(method.hash).lateAfterMs;
      const parts = { outgoing, call, waits, lateMs, resolve, reject };
      const attempt = new SingleAttempt(this, index, parts);
      attempt.startedMs = nowMs;
      this.asks(index, nowMs);
      if (!(peer instanceof Peer)) {
        peer.ask(call, attempt, (server, local) => outgoing.invokeOn(server, local));
        return;
      }
      const { ready } = peer;
      peer.onBusy();
      if (ready === undefined) {
        peer.session().then(
          (session) => attempt.send(session, headOf(method.hash, call, monotonicMs())),
          (error) => attempt.fail(error, false),
        );
      } else attempt.send(ready, headOf(method.hash, call, nowMs));
    });
  }

  /** A call that `call` began has ended. */
  ended(): void {
    this.#open -= 1;
  }

  typical(method: number): Typical {
    let found = this.#typical.get(method);
    if (found === undefined) {
      found = new Typical();
      this.#typical.set(method, found);
    }
    return found;
  }

  /** A call goes to that replica now: if it is left out, this may be the one that probes it. */
  asks(index: number, nowMs: number): void {
    if (this.#someOut) this.#outliers[index]!.asked(nowMs);
  }

  /** A call that has others beside it may go there as well: nothing is known against it, or a probe is due. */
  mayAskBeside(index: number, { priority }: Call, nowMs: number): boolean {
    if (!this.peers[index]!.usable || this.isBlocked(index)) return false;
    if (this.#isOut(index) && !this.#outliers[index]!.isDue(nowMs)) return false;
    return !this.refuses(index, priority, nowMs);
  }

  /** What became of an attempt, for the replica's record and for the rule of its method. */
  answered(index: number, method: number, { tookMs, nowMs, isLate, isUsual }: Answered): void {
    if (isUsual) this.typical(method).answered(tookMs);
    if (!isLate) this.#outliers[index]!.succeeded(nowMs);
    if (this.#someOut) this.#look();
  }

  /** `hadMs`: so long it had for the attempt, until now. */
  failed(index: number, error: unknown, { method, hadMs }: { method: number; hadMs: number }) {
    if (!isReplicasOwn(error, hadMs, this.typical(method))) return;
    this.#outliers[index]!.failed(monotonicMs());
    this.#look();
  }

  late(index: number, nowMs: number): void {
    this.#outliers[index]!.late(nowMs);
    this.#look();
  }

  #look(): void {
    const before = this.#someOut;
    this.#someOut = this.#outliers.some((outlier) => outlier.isOut);
    if (this.#someOut && !before) monitor.add(ejections, 1);
  }

  /** The usual case without a list: the replica of the own campus, when it is well. */
  firstChoice(nowMs: number): number | undefined {
    const own = this.#own;
    if (own < 0 || !this.peers[own]!.usable) return undefined;
    if (this.#isOut(own) && !this.#outliers[own]!.isDue(nowMs)) return undefined;
    return own;
  }

  order(wanted: readonly number[] | undefined, nowMs: number): number[] {
    const candidates = this.#someOut
      ? this.peers.map(({ campus, usable }, i) => ({ campus, usable: usable && !this.#isOut(i) }))
      : this.peers;
    this.#turn = (this.#turn + 1) >>> 0;
    const order =
      wanted === undefined
        ? pickOrder(candidates, this.#campus, this.#turn, this.#blocked)
        : usableFirst(candidates, wanted, this.#blocked);
    if (!this.#someOut) return order;
    const due = order.find(
      (i) => this.peers[i]!.usable && !this.isBlocked(i) && this.#outliers[i]!.isDue(nowMs),
    );
    return due === undefined ? order : [due, ...order.filter((i) => i !== due)];
  }

  #callOf(options: CallOptions, nowMs: number): Call {
    return {
      arrivedMs: nowMs,
      deadlineMs: options.deadlineMs ?? nowMs + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
      operationId: options.operationId ?? NO_BYTES,
      ticket: options.ticket ?? NO_BYTES,
      caller: this.#caller,
      trace: options.trace ?? NO_BYTES,
      span: undefined,
      priority: options.priority ?? 0,
    };
  }
}

/** What says something about the replica, and not about the call. */
function isReplicasOwn(error: unknown, hadMs: number, typical: Typical): boolean {
  if (!(error instanceof RpcError)) return false;
  // A caller in a hurry would otherwise leave out for all what is well.
  if (error.code === "DEADLINE_EXCEEDED") return hadMs >= typical.enoughMs;
  return ["UNAVAILABLE", "INTERNAL", "NO_QUORUM"].includes(error.code);
}
