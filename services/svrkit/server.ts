/**
 * The serving door: methods are registered once, then the same handlers answer framed TCP, the
 * in-memory wire and callers in this very process.
 *
 * Life of a call: frame -> method known? -> caller allowed? -> room, and not past its deadline?
 *   -> priority admitted? -> (its turn) -> still in time, still admitted? -> decode -> handler -> reply.
 * Every exit is an RpcError to the caller; what a handler throws besides that is a defect, logged
 * with its stack and answered as INTERNAL. Calls of priority 0 are never shed, wait for no turn, and
 * have room of their own.
 */
import type { Server as NetServer } from "node:net";
import type { RequestHead } from "../../protos/gen/tricampus/svrkit/v1/frame_codec.ts";
import { AdaptiveLevel } from "./admission/adaptive-level.ts";
import type { Admission } from "./admission/admission.ts";
import { EVERYTHING, NEVER_SHED } from "./admission/priority.ts";
import { type Call, handlersDeadlineMs, monotonicMs } from "./call.ts";
import { CodecError, type Encode, fromBytes, Reader, toBytes } from "./codec.ts";
import { inForce } from "./config/limits-in-force.ts";
import { RpcError } from "./errors.ts";
import { DRAIN_MS, GIVEN_UP_AFTER_MS } from "./limits.ts";
import type { Logger } from "./log.ts";
import type { Method } from "./method.ts";
import { callsOf, type MethodCalls, queueDelays } from "./monitors/calls.ts";
import { monitor, monitorId } from "./monitors/monitor.ts";
import { isFull, KeptBytes, noRoom } from "./room.ts";
import { QUEUE_MAX, RunQueue } from "./run-queue.ts";
import { wasStopped } from "./stall.ts";
import { inTrace, isSampled } from "./tracing/context.ts";
import { beginSpan } from "./tracing/span.ts";
import { Session } from "./transport/session.ts";
import { type Endpoint, listen, type Security } from "./transport/tcp.ts";
import type { Wire } from "./transport/wire.ts";

export type Handler<I, O> = (request: I, call: Call) => Promise<O> | O;

interface Registered {
  readonly method: Method<unknown, unknown>;
  readonly handle: Handler<unknown, unknown>;
  /** Who may call; undefined: whoever reaches this server. */
  readonly allowed: Callers | undefined;
  readonly calls: MethodCalls;
}

const served = monitorId("svrkit.calls_served");
const failed = monitorId("svrkit.calls_failed");
const refused = monitorId("svrkit.calls_refused");
const shed = monitorId("svrkit.calls_shed");
const connections = monitorId("svrkit.connections");

export interface ServerIdentity {
  /** "a/kvsvr" */
  readonly process: string;
  readonly campus: string;
}

/** The services that may call a method: asked at each call, so that they may change meanwhile. */
export type Callers = Pick<ReadonlySet<string>, "has">;

/** undefined for a method that the table does not name. */
type AllowedCallers = (method: string) => Callers | undefined;

export interface ServerOptions {
  /** Default: plain, on loopback only. */
  readonly security?: Security;
  /** Default: whoever reaches this server may call everything. */
  readonly allowed?: AllowedCallers;
  /** Shared by all servers of a process, whose event loop is one. Default: one of its own. */
  readonly admission?: Admission;
}

/** Where a call came from and its answer goes: a session, or another door's call. */
export interface AnswerTo {
  readonly isOpen: boolean;
  /** Since when the call may have been waiting. */
  readonly arrivedMs: number;
  /** What the far end has proved to be; undefined: it has proved nothing. */
  readonly proved: ReadonlySet<string> | undefined;
  reply<T>(callId: number, body: [Encode<T>, T], level: number): void;
  replyError(callId: number, error: RpcError, level: number): void;
}

/** A call on its way to its handler. */
interface Job {
  readonly session: AnswerTo;
  readonly callId: number;
  readonly registered: Registered;
  readonly call: Call;
  readonly body: Reader;
  readonly bytes: number;
  readonly arrivedMs: number;
}

type Running = Pick<Job, "session" | "callId" | "registered" | "call" | "bytes">;

export class Server {
  readonly #identity: ServerIdentity;
  readonly #log: Logger;
  readonly #options: ServerOptions;
  readonly #admission: Admission;
  readonly #queue = new RunQueue<Job>(
    (job, nowMs) => {
      this.#kept.add(-job.bytes, job.call.priority);
      this.#take(job, nowMs);
    },
    () => this.#admission.laterMs,
  );
  readonly #methods = new Map<number, Registered>();
  readonly #sessions = new Set<Session>();
  readonly #listeners: NetServer[] = [];
  #inFlight = 0;
  /** Of requests that wait for their turn, or whose handlers wait for something. */
  readonly #kept = new KeptBytes();
  #draining = false;

  constructor(identity: ServerIdentity, log: Logger, options: ServerOptions = {}) {
    this.#identity = identity;
    this.#log = log;
    this.#options = options;
    this.#admission = options.admission ?? new AdaptiveLevel();
  }

  add<I, O>(method: Method<I, O>, handle: Handler<I, O>): void {
    const other = this.#methods.get(method.hash);
    if (other !== undefined)
      throw new Error(`${method.name} and ${other.method.name} share a hash; rename one`);
    const allowed = this.#options.allowed?.(method.name);
    if (this.#options.allowed !== undefined && allowed === undefined)
      throw new Error(`${method.name} is in no table of allowed callers: nobody could call it`);
    this.#methods.set(method.hash, {
      method: method as Method<unknown, unknown>,
      handle: handle as Handler<unknown, unknown>,
      allowed,
      calls: callsOf(method.name),
    });
  }

  async listen(endpoint: Endpoint): Promise<number> {
    const { security } = this.#options;
    const listener = await listen(endpoint, (wire) => this.accept(wire), security);
    this.#listeners.push(listener);
    const address = listener.address();
    return address !== null && typeof address === "object" ? address.port : endpoint.port;
  }

  accept(wire: Wire): void {
    const silent = setTimeout(() => session.close("no Hello in time"), GIVEN_UP_AFTER_MS);
    silent.unref();
    const session: Session = new Session(wire, this.#identity, {
      opened: () => clearTimeout(silent),
      request: (s, head, body) => this.serve(s, head, body),
      closed: (reason) => {
        clearTimeout(silent);
        this.#sessions.delete(session);
        monitor.add(connections, -1);
        this.#log.debug({ remote: wire.remote, reason }, "connection ended");
      },
    });
    this.#sessions.add(session);
    monitor.add(connections, 1);
  }

  /** Serves a caller in this process: no frames, no copies; messages must not be changed afterwards. */
  async invoke<I, O>(method: Method<I, O>, request: I, call: Call): Promise<O> {
    const registered = this.#methods.get(method.hash);
    if (registered === undefined) throw unknownMethod(method.name);
    const startedMs = monotonicMs();
    const traced = isSampled(call.trace) ? spanned(registered, call, startedMs) : call;
    registered.calls.arrived += 1;
    try {
      requireAllowed(registered, call.caller, undefined);
      this.#requireRoom(call, 0, startedMs);
    } catch (error) {
      throw this.#asRpcError(error, registered, traced);
    }
    this.#inFlight += 1;
    try {
      const response = (await registered.handle(request, traced)) as O;
      traced.span?.end();
      return response;
    } catch (error) {
      throw this.#asRpcError(error, registered, traced);
    } finally {
      this.#inFlight -= 1;
      registered.calls.latencies.add(monotonicMs() - startedMs);
    }
  }

  /** Like `invoke`, for a caller that forwards an encoded request without looking into it. */
  async invokeBytes(hash: number, request: Uint8Array, call: Call): Promise<Uint8Array> {
    const registered = this.#methods.get(hash);
    if (registered === undefined) throw unknownMethod(`with hash ${hash}`);
    const { method } = registered;
    let decoded: unknown;
    try {
      decoded = fromBytes(method.decodeRequest, request);
    } catch (error) {
      throw this.#asRpcError(error, registered);
    }
    return toBytes(method.encodeResponse, await this.invoke(method, decoded, call));
  }

  /**
   * For work that is no call of its own here, as one of many in a call: whether it is let in now. Who was let in tells
   * when it has `ended`.
   */
  admits(priority: number, { arrivedMs }: Pick<Call, "arrivedMs">, nowMs: number): boolean {
    const admission = this.#admission;
    if (priority === NEVER_SHED) {
      admission.passed();
      return true;
    }
    const waitedMs = nowMs - arrivedMs;
    if (admission.arrive(priority, nowMs)) {
      queueDelays.add(waitedMs);
      if (admission.start(priority, waitedMs, nowMs)) return true;
    }
    monitor.add(shed, 1);
    return false;
  }

  ended(priority: number, nowMs: number): void {
    if (priority !== NEVER_SHED) this.#admission.ended(nowMs);
  }

  /** Of a call that carries many: so much of its work was for those that might have been shed. */
  worked(ms: number): void {
    this.#admission.worked(ms, -ms);
  }

  get methods(): Method<unknown, unknown>[] {
    return [...this.#methods.values()].map(({ method }) => method);
  }

  has(hash: number): boolean {
    return this.#methods.has(hash);
  }

  /** Takes no new calls, waits for those it has (bounded), then closes everything. */
  async stop(): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    for (const listener of this.#listeners) listener.close();
    for (const session of this.#sessions) session.goAway();
    const giveUp = monotonicMs() + DRAIN_MS;
    while (this.#inFlight + this.#queue.length > 0 && monotonicMs() < giveUp) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const session of [...this.#sessions]) session.close("the server stops");
  }

  get callsInFlight(): number {
    return this.#inFlight;
  }

  get callsWaiting(): number {
    return this.#queue.length;
  }

  /** What callers are told: 0 when everything is admitted. */
  #level(nowMs: number): number {
    const level = this.#admission.level(nowMs);
    return level === EVERYTHING ? 0 : level;
  }

  /** `bytes`: of its request, those that nobody else holds anyway. */
  #requireRoom({ deadlineMs, priority }: Call, bytes: number, nowMs: number): void {
    if (this.#draining)
      throw new RpcError("UNAVAILABLE", "this process is stopping; call another replica");
    if (isFull(this.#inFlight, inForce.callsInFlightMax, priority)) {
      monitor.add(refused, 1);
      throw noRoom(`${this.#inFlight} calls are running here`, priority);
    }
    if (this.#kept.areTooMany(bytes, priority)) {
      monitor.add(refused, 1);
      throw noRoom(`requests of ${this.#kept.all} bytes wait here`, priority);
    }
    if (deadlineMs <= nowMs) throw tooLate();
  }

  /** A call that came through any door; what is wrong with it is answered, and never thrown. */
  serve(session: AnswerTo, head: RequestHead, body: Reader): void {
    const nowMs = monotonicMs();
    const { callId } = head;
    const bytes = body.end - body.pos;
    const registered = this.#methods.get(head.method);
    let call: Call | undefined;
    try {
      if (wasStopped(nowMs))
        throw new RpcError("UNAVAILABLE", "this process was stopped for a while");
      if (registered === undefined) throw unknownMethod(`with hash ${head.method}`);
      const { arrivedMs } = session;
      call = callOf(head, arrivedMs, nowMs);
      if (isSampled(head.trace)) call = spanned(registered, call, arrivedMs);
      registered.calls.arrived += 1;
      requireAllowed(registered, call.caller, session.proved);
      if (call.deadlineMs <= nowMs && call.priority !== NEVER_SHED) {
        // Nobody waits for it any more; how long it waited until now is worth knowing.
        if (this.#admission.arrive(call.priority, nowMs))
          this.#admission.expired(nowMs - arrivedMs);
        throw tooLate();
      }
      this.#requireRoom(call, bytes, nowMs);
      if (head.priority === NEVER_SHED) {
        this.#admission.passed();
        const outcome = invoke(registered, call, ownBytes(body));
        const endMs = monotonicMs();
        this.#admission.worked(0, endMs - nowMs);
        this.#run({ session, callId, registered, call, bytes }, outcome, endMs);
        return;
      }
      if (!this.#admission.arrive(head.priority, nowMs)) throw overloaded();
      const job = { session, callId, registered, call, body: ownBytes(body), bytes, arrivedMs };
      if (this.#queue.isFree(nowMs)) this.#take(job, nowMs);
      else if (this.#queue.add(job)) this.#kept.add(bytes, call.priority);
      else throw overloaded(`${QUEUE_MAX} calls wait here`);
    } catch (error) {
      this.#refuse(session, callId, this.#asRpcError(error, registered, call));
    }
  }

  /** A call whose turn has come. */
  #take(job: Job, nowMs: number): void {
    const { session, registered, call, body, arrivedMs } = job;
    // Who asked has gone, and asks elsewhere.
    if (!session.isOpen) return;
    let hasBegun = false;
    try {
      const admission = this.#admission;
      const waitedMs = nowMs - arrivedMs;
      queueDelays.add(waitedMs);
      if (call.deadlineMs <= nowMs) {
        admission.expired(waitedMs);
        throw tooLate();
      }
      if (!admission.start(call.priority, waitedMs, nowMs)) throw overloaded();
      hasBegun = true;
      this.#queue.begun();
      const outcome = invoke(registered, call, body);
      const endMs = monotonicMs();
      admission.worked(endMs - nowMs, 0);
      this.#run(job, outcome, endMs);
    } catch (error) {
      if (hasBegun) this.ended(call.priority, nowMs);
      this.#refuse(session, job.callId, this.#asRpcError(error, registered, call));
    }
  }

  #refuse(session: AnswerTo, callId: number, error: RpcError): void {
    session.replyError(callId, error, this.#level(monotonicMs()));
  }

  #run(running: Running, outcome: unknown, nowMs: number): void {
    if (!(outcome instanceof Promise)) {
      this.#answer(running, outcome, nowMs);
      this.ended(running.call.priority, nowMs);
      return;
    }
    const { session, callId, registered, call, bytes } = running;
    this.#inFlight += 1;
    this.#kept.add(bytes, call.priority);
    outcome
      .then((response) => this.#answer(running, response, monotonicMs()))
      .catch((error: unknown) => {
        registered.calls.latencies.add(monotonicMs() - call.arrivedMs);
        this.#refuse(session, callId, this.#asRpcError(error, registered, call));
      })
      .finally(() => {
        this.#inFlight -= 1;
        this.#kept.add(-bytes, call.priority);
        this.ended(call.priority, monotonicMs());
      });
  }

  #answer({ session, callId, registered, call }: Running, response: unknown, nowMs: number): void {
    session.reply(callId, [registered.method.encodeResponse, response], this.#level(nowMs));
    monitor.add(served, 1);
    registered.calls.latencies.add(nowMs - call.arrivedMs);
    call.span?.end();
  }

  #asRpcError(thrown: unknown, registered: Registered | undefined, call?: Call): RpcError {
    monitor.add(failed, 1);
    const method = registered?.method.name ?? "?";
    const error = this.#known(thrown, method, call);
    registered?.calls.failed(error.code);
    call?.span?.end(error.code);
    return error;
  }

  #known(error: unknown, method: string, call: Call | undefined): RpcError {
    if (error instanceof RpcError) return error;
    if (error instanceof CodecError) {
      return new RpcError(
        "INVALID_ARGUMENT",
        `the request of ${method} cannot be read: ${error.message}`,
      );
    }
    this.#log.error(
      { err: error, method, ...inTrace(call?.trace) },
      "a handler failed unexpectedly",
    );
    return new RpcError(
      "INTERNAL",
      `${method} failed unexpectedly in ${this.#identity.process}; see its log`,
    );
  }
}

/** The call as its handler sees it when its trace is sampled: what it calls on is below a span. */
function spanned({ calls }: Registered, call: Call, startedMs: number): Call {
  const span = beginSpan(call.trace, { name: calls.name, kind: "call", startedMs });
  return span === undefined ? call : { ...call, trace: span.context, span };
}

/** Decodes the request and starts the handler. */
function invoke({ method, handle }: Registered, call: Call, body: Reader): unknown {
  return handle(method.decodeRequest(body, body.end), call);
}

function overloaded(why = "calls as important as this one wait too long"): RpcError {
  monitor.add(shed, 1);
  return new RpcError("OVERLOADED", `this process has too much to do (${why}): retry later`);
}

function tooLate(): RpcError {
  monitor.add(refused, 1);
  return new RpcError("DEADLINE_EXCEEDED", "the call's deadline passed before its turn came");
}

/** Below this size a request gets bytes of its own before it is decoded. */
const OWN_BYTES_MAX = 16 * 1024;

/**
 * Handlers may keep what they get. A small request would hold the whole 64 KiB chunk it arrived in,
 * so it is copied once; a large one is most of its chunk anyway.
 */
function ownBytes(body: Reader): Reader {
  if (body.end - body.pos > OWN_BYTES_MAX) return body;
  return new Reader(Buffer.from(body.buffer.subarray(body.pos, body.end)));
}

/** `proved`: what the caller's certificate says it is; undefined: there is none, it is believed. */
function requireAllowed(
  { method, allowed }: Registered,
  caller: string,
  proved: ReadonlySet<string> | undefined,
): void {
  if (proved !== undefined && !proved.has(caller)) {
    const names = [...proved].join(", ") || "no service";
    const message = `a call as "${caller}" whose certificate names ${names}`;
    throw new RpcError("PERMISSION_DENIED", message);
  }
  if (allowed === undefined || allowed.has(caller)) return;
  const who = caller === "" ? "a client outside" : `the service "${caller}"`;
  throw new RpcError("PERMISSION_DENIED", `${who} may not call ${method.name}`);
}

function unknownMethod(name: string): RpcError {
  return new RpcError(
    "UNIMPLEMENTED",
    `this server has no method ${name}; is it an older version?`,
  );
}

function callOf(head: RequestHead, arrivedMs: number, nowMs: number): Call {
  // A caller's time runs since its call arrived. When that was is an estimate, by which no call is
  // dropped that is never to be.
  const startMs = head.priority === NEVER_SHED ? nowMs : arrivedMs;
  return {
    arrivedMs,
    deadlineMs: handlersDeadlineMs(startMs, head.timeoutMs),
    operationId: head.operationId,
    ticket: head.ticket,
    caller: head.caller,
    trace: head.trace,
    span: undefined,
    priority: head.priority,
  };
}
