/**
 * One call while it is being made.
 *
 * It goes to one replica and, when that one refuses, cannot be reached, falls silent or is late, to the
 * next, inside the same call and under the same operation id, until an answer comes or the deadline
 * passes. No central node is asked. Every method served through svrkit must therefore be safe to repeat
 * under one operation id.
 *
 *   refused, or not reached   the next replica; when all have been asked, again after a growing pause
 *   overloaded                one other replica; when that one is too, the call fails at once
 *   late, or silent           the next replica beside it, and the first answer counts
 *
 * What makes a server work twice is paid for out of the callee's retry budget (failover/budget.ts);
 * without any left the call waits.
 */
import type { RequestHead } from "../../protos/gen/tricampus/svrkit/v1/frame_codec.ts";
import { NEVER_SHED } from "./admission/priority.ts";
import { type Call, monotonicMs } from "./call.ts";
import type { Callee } from "./callee.ts";
import { CodecError, type Reader } from "./codec.ts";
import { moreTelling, RpcError } from "./errors.ts";
import { Peer } from "./failover/peer.ts";
import { LEVEL_STALE_MS } from "./limits.ts";
import { monitor, monitorId } from "./monitors/monitor.ts";
import type { Outgoing } from "./outgoing.ts";
import { callEnded } from "./thread-times.ts";
import type { Session, Waiter } from "./transport/session.ts";

const RETRY_PAUSE_FIRST_MS = 20;
const RETRY_PAUSE_LAST_MS = 200;
/** Each server on the way keeps a sixteenth of its caller's time. */
const RAN_OUT_SHARE = 0.85;
export const NEVER_MS = Number.POSITIVE_INFINITY;

const failovers = monitorId("svrkit.failovers");
const doubled = monitorId("svrkit.calls_doubled");
const heldBack = monitorId("svrkit.calls_held_back");

interface Parts<O> {
  readonly callee: Callee;
  readonly request: Outgoing<O>;
  readonly call: Call;
  /** The caller's own order of replicas. */
  readonly order: readonly number[] | undefined;
  readonly heard: RpcError | undefined;
  readonly resolve: (response: O) => void;
  readonly reject: (error: unknown) => void;
}

export class PendingCall<O> {
  readonly #parts: Parts<O>;
  #isSettled = false;
  /** Attempts that have not come back, and those of them that are late or silent. */
  #open = 0;
  #lingering = 0;
  /** How often it has waited. */
  #pauses = 0;
  /** Bit by replica: asked in this round. */
  #asked = 0;
  /** When the last attempt began. */
  #askedMs = 0;
  #order: readonly number[] | undefined;
  #lastError: RpcError | undefined;
  /** Asking again makes somebody work twice, or may end one more replica: it is paid for. */
  #costs = false;
  /** Was paid for an attempt that was not sent: nobody has worked for it. */
  #isPaid = false;
  /** Attempts that were sent, and whose connection ended before an answer came. */
  #cutOff = 0;
  #overloads = 0;
  /** An attempt that failed came to a handler, or may have: what it asked for may be done. */
  #mayBeDone = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: Parts<O>) {
    this.#parts = parts;
    this.#lastError = parts.heard;
  }

  start(nowMs: number, hedgeAfterMs: number | undefined): void {
    const { callee, order } = this.#parts;
    if (hedgeAfterMs !== undefined) this.#timer = setTimeout(() => this.#askBeside(), hedgeAfterMs);
    const first = order === undefined ? callee.firstChoice(nowMs) : undefined;
    if (first === undefined) this.#goOn(nowMs);
    else this.#ask(first, nowMs);
  }

  /** The next replica of this round, or a pause and the next round. */
  #goOn(nowMs: number): void {
    const { callee, call } = this.#parts;
    if (call.deadlineMs <= nowMs) {
      this.#fail(this.#outOfTime());
      return;
    }
    this.#order ??= callee.order(this.#parts.order, nowMs);
    const next = this.#order.find((index) => (this.#asked & (1 << index)) === 0);
    if (next === undefined) this.#endRound(nowMs);
    else if (this.#costs && !this.#pay(nowMs)) this.#pause(nowMs);
    else {
      if (this.#lastError !== undefined) monitor.add(failovers, 1);
      this.#ask(next, nowMs);
    }
  }

  #endRound(nowMs: number): void {
    // Waiting here would only make the crowd larger: whoever asked decides.
    if (this.#lastError?.code === "OVERLOADED") this.#fail(this.#lastError);
    else {
      this.#asked = 0;
      this.#order = undefined;
      this.#pause(nowMs);
    }
  }

  #pause(nowMs: number): void {
    const longestMs = Math.min(RETRY_PAUSE_LAST_MS, RETRY_PAUSE_FIRST_MS * 2 ** this.#pauses);
    const pauseMs = longestMs * (0.5 + Math.random());
    this.#pauses += 1;
    if (this.#parts.call.deadlineMs - nowMs <= pauseMs) this.#fail(this.#outOfTime());
    else setTimeout(() => this.#goOn(monotonicMs()), pauseMs);
  }

  #ask(index: number, nowMs: number): void {
    const { callee, request, call } = this.#parts;
    this.#asked |= 1 << index;
    this.#askedMs = nowMs;
    this.#open += 1;
    callee.asks(index, nowMs);
    const isPaid = this.#isPaid;
    this.#isPaid = false;
    const peer = callee.peers[index]!;
    if (!(peer instanceof Peer)) {
      const attempt = this.#attempt(index, undefined, nowMs);
      peer.ask(call, attempt, (server, local) => request.invokeOn(server, local));
      return;
    }
    const { ready } = peer;
    peer.onBusy();
    if (ready !== undefined) this.#send(index, ready, { nowMs, isPaid });
    else {
      peer.session().then(
        (session) => this.#send(index, session, { nowMs: monotonicMs(), isPaid }),
        (error) => this.#notSent(error, isPaid),
      );
    }
  }

  #notSent(error: unknown, isPaid: boolean): void {
    this.#isPaid ||= isPaid;
    this.failed(error, false);
  }

  #send(index: number, session: Session, how: { nowMs: number; isPaid: boolean }): void {
    const { nowMs, isPaid } = how;
    const { request, call } = this.#parts;
    if (this.#isSettled) {
      this.#open -= 1;
      return;
    }
    const attempt = this.#attempt(index, session, nowMs);
    try {
      if (isRefusedThere(session, call.priority, nowMs)) {
        monitor.add(heldBack, 1);
        throw new RpcError("OVERLOADED", `${session.remote} has too much to do: retry later`);
      }
      request.send(session, headOf(request.method, call, nowMs), attempt);
    } catch (error) {
      this.#notSent(error, isPaid);
    }
  }

  #attempt(index: number, session: Session | undefined, nowMs: number): Attempt<O> {
    const attempt = new Attempt(this, index, session, nowMs);
    const { callee, request } = this.#parts;
    attempt.lateMs = nowMs + callee.typical(request.method).lateAfterMs;
    return attempt;
  }

  get deadlineMs(): number {
    return this.#parts.call.deadlineMs;
  }

  replied(attempt: Attempt<O>, body: Reader): void {
    this.#note(attempt, attempt.session!.lastHeardMs);
    if (this.#isSettled) return;
    try {
      this.#succeed(this.#parts.request.decode(body));
    } catch (error) {
      this.#fail(asUnreadable(error));
    }
  }

  /** By a handler in this process. */
  resolved(attempt: Attempt<O>, response: O): void {
    this.#note(attempt, monotonicMs());
    this.#succeed(response);
  }

  /** An attempt was answered: for the record of its replica. */
  #note({ index, startedMs, excusedMs, isLate }: Attempt<O>, nowMs: number): void {
    const { callee, request } = this.#parts;
    // A slow replica does not become the rule as long as another one answers sooner.
    const isUsual = !(isLate && this.#isSettled);
    const tookMs = Math.max(0, nowMs - startedMs - excusedMs);
    callee.answered(index, request.method, { tookMs, nowMs, isLate, isUsual });
  }

  #noteFailed({ index, startedMs, excusedMs }: Attempt<O>, error: unknown): void {
    const { callee, request } = this.#parts;
    const hadMs = monotonicMs() - startedMs - excusedMs;
    callee.failed(index, error, { method: request.method, hadMs });
  }

  /** An attempt has failed; `isAnswer`: the replica said so itself. */
  failed(thrown: unknown, isAnswer: boolean, attempt?: Attempt<O>): void {
    this.#open -= 1;
    if (attempt !== undefined) {
      if (!isAnswer) this.#cutOff += 1;
      if (attempt.isLingering) this.#lingering -= 1;
      // A connection that ended is the peer's affair, and a call beside another one was given up.
      if (isAnswer || !this.#isSettled) this.#noteFailed(attempt, thrown);
    }
    if (this.#isSettled) return;
    const error = asUnreadable(thrown);
    const isRefusal = isOverloaded(error);
    this.#mayBeDone ||= isAnswer ? !isRefusal : attempt !== undefined;
    if (!(error instanceof RpcError) || !error.retryable) {
      const isLate = error instanceof RpcError && error.code === "DEADLINE_EXCEEDED";
      this.#fail(isLate && this.#lastError !== undefined ? this.#outOfTime() : error);
      return;
    }
    if (isRefusal && isAnswer) this.#overloads += 1;
    this.#lastError = moreTelling(this.#lastError, error, { ranOut: this.#ranOut() });
    if (isAnswer) this.#parts.callee.budget.failed();
    if (this.#open > 0) {
      // Those left are late or silent: the one asked beside them has failed, and not for them.
      if (this.#open === this.#lingering && this.#overloads <= 1) this.#askBeside();
      return;
    }
    // Once is any call's bad luck; what happens to a call again may be its own doing.
    this.#costs = isAnswer || this.#cutOff > 1;
    if (this.#overloads > 1) this.#fail(error);
    else this.#goOn(monotonicMs());
  }

  /** An attempt is late, or its peer silent. */
  lingers(attempt: Attempt<O>, why: "late" | "silent"): void {
    if (why === "late") this.#parts.callee.late(attempt.index, monotonicMs());
    this.#lingering += 1;
    if (this.#lingering === this.#open) this.#askBeside();
  }

  /** Asks one more replica, beside those that have not answered. */
  #askBeside(): void {
    if (this.#isSettled || this.#open === 0) return;
    const { callee, call } = this.#parts;
    const nowMs = monotonicMs();
    const isFree = (i: number) =>
      (this.#asked & (1 << i)) === 0 && callee.mayAskBeside(i, call, nowMs);
    const next = callee.order(this.#parts.order, nowMs).find(isFree);
    if (next === undefined || !this.#pay(nowMs)) return;
    monitor.add(doubled, 1);
    this.#ask(next, nowMs);
  }

  /** Whether the budget has room for one more attempt, which is paid for then. */
  #pay(nowMs: number): boolean {
    this.#isPaid ||= this.#parts.callee.budget.spend(nowMs);
    return this.#isPaid;
  }

  #succeed(response: O): void {
    if (this.#isSettled) return;
    this.#parts.callee.budget.succeeded(this.#pauses > 0);
    this.#settle();
    this.#parts.resolve(response);
  }

  #fail(error: unknown): void {
    if (this.#isSettled) return;
    this.#settle();
    if (isOverloaded(error) && this.#mayBeDone) this.#parts.reject(uncertain(error));
    else this.#parts.reject(error);
  }

  #settle(): void {
    this.#isSettled = true;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#parts.callee.ended();
    callEnded(this.#parts.call.priority);
  }

  /** Whether the last attempt took all the time that was left, but for what servers keep for the way back. */
  #ranOut(): boolean {
    const { deadlineMs } = this.#parts.call;
    return monotonicMs() - this.#askedMs >= RAN_OUT_SHARE * (deadlineMs - this.#askedMs);
  }

  #outOfTime(): RpcError {
    const last = this.#lastError;
    const why = last === undefined ? "its deadline had passed" : `last: ${last.message}`;
    const code = last?.code ?? "UNAVAILABLE";
    const { service } = this.#parts.callee;
    return new RpcError(code, `no replica of ${service} could do it in time (${why})`);
  }
}

/** One of a call's attempts, as the session sees it, or the replica in this process. */
class Attempt<O> implements Waiter {
  readonly index: number;
  /** undefined: it is carried out in this process. */
  readonly session: Session | undefined;
  readonly startedMs: number;
  lateMs = NEVER_MS;
  /** Of the time since it began. */
  excusedMs = 0;
  isLate = false;
  isLingering = false;
  readonly #call: PendingCall<O>;

  constructor(
    call: PendingCall<O>,
    index: number,
    session: Session | undefined,
    startedMs: number,
  ) {
    this.#call = call;
    this.index = index;
    this.session = session;
    this.startedMs = startedMs;
  }

  get deadlineMs(): number {
    return this.#call.deadlineMs;
  }

  reply(body: Reader): void {
    this.#call.replied(this, body);
  }

  resolve(response: O): void {
    this.#call.resolved(this, response);
  }

  fail(error: RpcError, isAnswer: boolean): void {
    this.#call.failed(error, isAnswer, this);
  }

  excuse(ms: number): void {
    this.lateMs += ms;
    this.excusedMs += ms;
  }

  linger(why: "late" | "silent"): void {
    this.lateMs = NEVER_MS;
    this.isLate ||= why === "late";
    if (this.isLingering) return;
    this.isLingering = true;
    this.#call.lingers(this, why);
  }
}

/** The only attempt of a call that goes to one replica and nowhere else. */
export class SingleAttempt<O> implements Waiter {
  readonly #callee: Callee;
  readonly #index: number;
  readonly #parts: {
    readonly outgoing: Outgoing<O>;
    readonly call: Call;
    readonly waits: boolean;
    readonly resolve: (response: O) => void;
    readonly reject: (error: unknown) => void;
  };
  #session: Session | undefined;
  #isLate = false;
  #excusedMs = 0;
  startedMs = 0;
  lateMs: number;

  constructor(
    callee: Callee,
    index: number,
    parts: {
      outgoing: Outgoing<O>;
      call: Call;
      waits: boolean;
      lateMs: number;
      resolve: (response: O) => void;
      reject: (error: unknown) => void;
    },
  ) {
    this.#callee = callee;
    this.#index = index;
    this.#parts = parts;
    this.lateMs = parts.lateMs;
  }

  get deadlineMs(): number {
    return this.#parts.call.deadlineMs;
  }

  send(session: Session, head: RequestHead): void {
    this.#session = session;
    try {
      this.#parts.outgoing.send(session, head, this);
    } catch (error) {
      this.#parts.reject(error);
    }
  }

  reply(body: Reader): void {
    const { outgoing, resolve, reject } = this.#parts;
    this.#note(this.#session!.lastHeardMs);
    callEnded(this.#parts.call.priority);
    try {
      resolve(outgoing.decode(body));
    } catch (error) {
      reject(error);
    }
  }

  resolve(response: O): void {
    this.#note(monotonicMs());
    this.#parts.resolve(response);
  }

  #note(nowMs: number): void {
    const tookMs = Math.max(0, nowMs - this.startedMs - this.#excusedMs);
    const { outgoing, waits } = this.#parts;
    const how = { tookMs, nowMs, isLate: this.#isLate, isUsual: !waits };
    this.#callee.answered(this.#index, outgoing.method, how);
  }

  fail(error: RpcError, isAnswer: boolean): void {
    const { method } = this.#parts.outgoing;
    const hadMs = monotonicMs() - this.startedMs - this.#excusedMs;
    if (isAnswer) this.#callee.failed(this.#index, error, { method, hadMs });
    this.#parts.reject(error);
  }

  excuse(ms: number): void {
    this.lateMs += ms;
    this.#excusedMs += ms;
  }

  linger(why: "late" | "silent"): void {
    this.lateMs = NEVER_MS;
    if (why !== "late") return;
    this.#isLate = true;
    this.#callee.late(this.#index, monotonicMs());
  }
}

/** The replica would refuse it, by what it last told of its level: it need not be asked. */
export function isRefusedThere(session: Session, priority: number, nowMs: number): boolean {
  if (session.level === 0 || priority === NEVER_SHED || priority < session.level) return false;
  return nowMs - session.levelHeardMs < LEVEL_STALE_MS;
}

export function headOf(method: number, call: Call, nowMs: number): RequestHead {
  const { operationId, ticket, caller, trace, priority } = call;
  // At least 1 ms: 0 would mean a call that is born dead.
  const timeoutMs = Math.max(1, Math.ceil(call.deadlineMs - nowMs));
  return { callId: 0, method, timeoutMs, operationId, ticket, caller, trace, priority };
}

/** OVERLOADED says that nothing was done; that is not known of a call that another replica may have carried out. */
export function uncertain({ message }: RpcError): RpcError {
  return new RpcError("UNAVAILABLE", message);
}

function isOverloaded(error: unknown): error is RpcError {
  return error instanceof RpcError && error.code === "OVERLOADED";
}

function asUnreadable(error: unknown): unknown {
  if (!(error instanceof CodecError)) return error;
  return new RpcError("INTERNAL", `a response cannot be read: ${error.message}`, { cause: error });
}
