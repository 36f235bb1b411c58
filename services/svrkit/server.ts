/**
 * The serving door: methods are registered once, then the same handlers answer framed TCP, the
 * in-memory wire and callers in this very process.
 *
 * Life of a call: frame -> method known? -> room? -> deadline not past? -> decode -> handler -> reply.
 * Every exit is an RpcError to the caller; what a handler throws besides that is a defect, logged
 * with its stack and answered as INTERNAL.
 */
import type { Server as NetServer } from "node:net";
import type { RequestHead } from "../../protos/gen/tricampus/svrkit/v1/frame_codec.ts";
import { type Call, monotonicMs } from "./call.ts";
import { CodecError, fromBytes, Reader, toBytes } from "./codec.ts";
import { RpcError } from "./errors.ts";
import { CALLS_IN_FLIGHT_MAX, DRAIN_MS } from "./limits.ts";
import type { Logger } from "./log.ts";
import type { Method } from "./method.ts";
import { type Counter, counter } from "./monitors/registry.ts";
import { wasStopped } from "./stall.ts";
import { Session } from "./transport/session.ts";
import { type Endpoint, listen, type Security } from "./transport/tcp.ts";
import type { Wire } from "./transport/wire.ts";

export type Handler<I, O> = (request: I, call: Call) => Promise<O> | O;

interface Registered {
  readonly method: Method<unknown, unknown>;
  readonly handle: Handler<unknown, unknown>;
  /** Who may call; undefined: whoever reaches this server. */
  readonly allowed: ReadonlySet<string> | undefined;
  /** Calls that arrived, from other processes and from this one: "svrkit.calls.Kv/Batch". */
  readonly calls: Counter;
}

const served = counter("svrkit.calls_served");
const failed = counter("svrkit.calls_failed");
const refused = counter("svrkit.calls_refused");

export interface ServerIdentity {
  /** "a/kvsvr" */
  readonly process: string;
  readonly campus: string;
}

/** The services that may call a method; undefined for a method that the table does not name. */
type AllowedCallers = (method: string) => ReadonlySet<string> | undefined;

export interface ServerOptions {
  /** Default: plain, on loopback only. */
  readonly security?: Security;
  /** Default: whoever reaches this server may call everything. */
  readonly allowed?: AllowedCallers;
}

export class Server {
  readonly #identity: ServerIdentity;
  readonly #log: Logger;
  readonly #options: ServerOptions;
  readonly #methods = new Map<number, Registered>();
  readonly #sessions = new Set<Session>();
  readonly #listeners: NetServer[] = [];
  #inFlight = 0;
  #draining = false;

  constructor(identity: ServerIdentity, log: Logger, options: ServerOptions = {}) {
    this.#identity = identity;
    this.#log = log;
    this.#options = options;
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
      calls: counter(`svrkit.calls.${method.name.slice(method.name.lastIndexOf(".") + 1)}`),
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
    const session: Session = new Session(wire, this.#identity, {
      request: (s, head, body) => this.#serve(s, head, body),
      closed: (reason) => {
        this.#sessions.delete(session);
        this.#log.debug({ remote: wire.remote, reason }, "connection ended");
      },
    });
    this.#sessions.add(session);
  }

  /** Serves a caller in this process: no frames, no copies; messages must not be changed afterwards. */
  async invoke<I, O>(method: Method<I, O>, request: I, call: Call): Promise<O> {
    const registered = this.#methods.get(method.hash);
    if (registered === undefined) throw unknownMethod(method.name);
    registered.calls.value += 1;
    requireAllowed(registered, call.caller, undefined);
    this.#admit(call.deadlineMs);
    this.#inFlight += 1;
    try {
      return (await registered.handle(request, call)) as O;
    } catch (error) {
      throw this.#asRpcError(error, method.name);
    } finally {
      this.#inFlight -= 1;
    }
  }

  /** Like `invoke`, for a caller that forwards an encoded request without looking into it. */
  async invokeBytes(hash: number, request: Uint8Array, call: Call): Promise<Uint8Array> {
    const method = this.#methods.get(hash)?.method;
    if (method === undefined) throw unknownMethod(`with hash ${hash}`);
    let decoded: unknown;
    try {
      decoded = fromBytes(method.decodeRequest, request);
    } catch (error) {
      throw this.#asRpcError(error, method.name);
    }
    return toBytes(method.encodeResponse, await this.invoke(method, decoded, call));
  }

  has(hash: number): boolean {
    return this.#methods.has(hash);
  }

  /** Takes no new calls, waits for the running ones (bounded), then closes everything. */
  async stop(): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    for (const listener of this.#listeners) listener.close();
    for (const session of this.#sessions) session.goAway();
    const giveUp = monotonicMs() + DRAIN_MS;
    while (this.#inFlight > 0 && monotonicMs() < giveUp) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const session of [...this.#sessions]) session.close("the server stops");
  }

  #admit(deadlineMs: number): void {
    if (this.#draining)
      throw new RpcError("UNAVAILABLE", "this process is stopping; call another replica");
    if (this.#inFlight >= CALLS_IN_FLIGHT_MAX) {
      refused.value += 1;
      throw new RpcError(
        "RESOURCE_EXHAUSTED",
        `${CALLS_IN_FLIGHT_MAX} calls are running here; slow down`,
      );
    }
    if (deadlineMs <= monotonicMs()) {
      refused.value += 1;
      throw new RpcError("DEADLINE_EXCEEDED", "the call arrived after its deadline");
    }
  }

  #serve(session: Session, head: RequestHead, body: Reader): void {
    const registered = this.#methods.get(head.method);
    try {
      if (wasStopped()) throw new RpcError("UNAVAILABLE", "this process was stopped for a while");
      if (registered === undefined) throw unknownMethod(`with hash ${head.method}`);
      const call = callOf(head);
      registered.calls.value += 1;
      requireAllowed(registered, call.caller, session.proved);
      this.#admit(call.deadlineMs);
      const own = ownBytes(body);
      const request = registered.method.decodeRequest(own, own.end);
      this.#run(session, head.callId, registered, registered.handle(request, call));
    } catch (error) {
      session.replyError(head.callId, this.#asRpcError(error, registered?.method.name ?? "?"));
    }
  }

  #run(session: Session, callId: number, registered: Registered, outcome: unknown): void {
    const { method } = registered;
    if (!(outcome instanceof Promise)) {
      served.value += 1;
      session.reply(callId, [method.encodeResponse, outcome]);
      return;
    }
    this.#inFlight += 1;
    outcome
      .then((response) => {
        served.value += 1;
        session.reply(callId, [method.encodeResponse, response]);
      })
      .catch((error: unknown) => session.replyError(callId, this.#asRpcError(error, method.name)))
      .finally(() => {
        this.#inFlight -= 1;
      });
  }

  #asRpcError(error: unknown, method: string): RpcError {
    failed.value += 1;
    if (error instanceof RpcError) return error;
    if (error instanceof CodecError) {
      return new RpcError(
        "INVALID_ARGUMENT",
        `the request of ${method} cannot be read: ${error.message}`,
      );
    }
    this.#log.error({ err: error, method }, "a handler failed unexpectedly");
    return new RpcError(
      "INTERNAL",
      `${method} failed unexpectedly in ${this.#identity.process}; see its log`,
    );
  }
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

/**
 * Of the caller's time a sixteenth, at most 250 ms, is kept for the answer's way back: what a handler
 * gives up at its own deadline still tells the caller why, who else would only know that time is over.
 */
const ANSWER_SHARE = 1 / 16;
const ANSWER_MS_MAX = 250;

function callOf(head: RequestHead): Call {
  const answerMs = Math.min(ANSWER_MS_MAX, head.timeoutMs * ANSWER_SHARE);
  return {
    deadlineMs: monotonicMs() + head.timeoutMs - answerMs,
    operationId: head.operationId,
    ticket: head.ticket,
    caller: head.caller,
    trace: head.trace,
    priority: head.priority,
  };
}
