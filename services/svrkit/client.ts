/**
 * The calling door: a Client holds one Callee per service, each with all replicas in all campuses.
 *
 * A call goes to one replica and, when that one refuses, cannot be reached or falls silent, to the
 * next, inside the same call and under the same operation id, until an answer comes or the deadline
 * passes. No central node is asked. Every method served through svrkit must therefore be safe to
 * repeat under one operation id.
 */

import type { RequestHead } from "../../protos/gen/tricampus/svrkit/v1/frame_codec.ts";
import { type Call, type CallOptions, DEFAULT_TIMEOUT_MS, monotonicMs, newTrace } from "./call.ts";
import { CodecError, NO_BYTES, type Reader } from "./codec.ts";
import { RpcError } from "./errors.ts";
import { Blocks } from "./failover/blocks.ts";
import { Peer, type PeerAddress } from "./failover/peer.ts";
import { pickOrder, usableFirst } from "./failover/pick.ts";
import { WATCH_INTERVAL_MS } from "./limits.ts";
import type { Method } from "./method.ts";
import { counter } from "./monitors/registry.ts";
import { rest } from "./rest.ts";
import type { Server, ServerIdentity } from "./server.ts";
import type { Waiter } from "./transport/session.ts";
import { dial, type Security } from "./transport/tcp.ts";

/** One replica of a service, as configuration names it. */
export interface ServiceAddress {
  readonly campus: string;
  /** Host and port are read at every attempt to connect: they may change, and may throw. */
  readonly host: string;
  readonly port: number;
  /** What the place is called whatever its address; default: the address as it is now. */
  readonly label?: string;
}

const RETRY_PAUSE_FIRST_MS = 20;
const RETRY_PAUSE_LAST_MS = 200;

const failovers = counter("svrkit.failovers");

export interface CalleeOptions {
  readonly caller: string;
  readonly local?: Server | undefined;
}

/** A replica in this very process, called without a connection. */
interface LocalPeer {
  readonly campus: string;
  readonly usable: true;
  readonly server: Server;
}

export class Client {
  readonly #identity: ServerIdentity;
  readonly #blocks: Blocks;
  readonly #security: Security | undefined;
  readonly #peers = new Map<string, Peer>();
  #timer: NodeJS.Timeout | undefined;
  #expectedMs = 0;
  #stopped = false;

  /** `blocks`: what is left out of every choice; default: nothing. `security`: plain on loopback. */
  constructor(identity: ServerIdentity, blocks: Blocks = new Blocks(), security?: Security) {
    this.#identity = identity;
    this.#blocks = blocks;
    this.#security = security;
  }

  /**
   * The callee for a service, called on behalf of the service `caller`. Services that share a
   * process share its one connection; `local` serves the address of the own campus in this process.
   */
  callee(service: string, addresses: readonly ServiceAddress[], options: CalleeOptions): Callee {
    const dialled = addresses.map(
      (a): PeerAddress => ({
        campus: a.campus,
        label: a.label ?? `campus ${a.campus} at ${a.host}:${a.port}`,
        dial: (timeoutMs) => dial(a, timeoutMs, this.#security),
      }),
    );
    return this.calleeFrom(service, dialled, options);
  }

  calleeFrom(service: string, addresses: readonly PeerAddress[], options: CalleeOptions): Callee {
    const peers = addresses.map((address) =>
      options.local !== undefined && address.campus === this.#identity.campus
        ? ({ campus: address.campus, usable: true, server: options.local } as const)
        : this.#peer(address, service),
    );
    const { campus } = this.#identity;
    return new Callee(service, peers, { campus, caller: options.caller, blocks: this.#blocks });
  }

  #peer(address: PeerAddress, service: string): Peer {
    let peer = this.#peers.get(address.label);
    if (peer === undefined) {
      peer = new Peer(address, this.#identity, () => this.#startWatch());
      this.#peers.set(address.label, peer);
    }
    peer.expect(service);
    return peer;
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const peer of this.#peers.values()) peer.stop();
  }

  /** Looks after silence and deadlines while there is something to look after, and only then. */
  #startWatch(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    this.#expectedMs = monotonicMs() + WATCH_INTERVAL_MS;
    this.#timer = setInterval(() => this.#watch(), WATCH_INTERVAL_MS);
    this.#timer.unref();
  }

  #watch(): void {
    const nowMs = monotonicMs();
    const lateMs = nowMs - this.#expectedMs;
    this.#expectedMs = nowMs + WATCH_INTERVAL_MS;
    const loopLateMs = lateMs > WATCH_INTERVAL_MS ? lateMs : 0;
    let busy = false;
    for (const peer of this.#peers.values()) {
      peer.watch(nowMs, loopLateMs);
      busy = peer.needsWatch || busy;
    }
    if (busy) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

export class Callee {
  readonly service: string;
  readonly peers: readonly (Peer | LocalPeer)[];
  readonly #campus: string;
  readonly #caller: string;
  /** The replica of the own campus; -1: there is none, or it is blocked. */
  #own = -1;
  /** By peer; undefined when none is blocked, so that then no call looks. */
  #blocked: readonly boolean[] | undefined;
  #turn = 0;

  constructor(
    service: string,
    peers: readonly (Peer | LocalPeer)[],
    options: { campus: string; caller: string; blocks: Blocks },
  ) {
    const { blocks } = options;
    this.service = service;
    this.peers = peers;
    this.#campus = options.campus;
    this.#caller = options.caller;
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

  /** Worth a new call: not known to be down, and not blocked. */
  takesCalls(index: number): boolean {
    return this.peers[index]!.usable && !this.isBlocked(index);
  }

  call<I, O>(method: Method<I, O>, request: I, options: CallOptions = {}): Promise<O> {
    const { hash, encodeRequest, decodeResponse } = method;
    return this.#try(options, (index, call) => {
      const peer = this.peers[index]!;
      if (!(peer instanceof Peer)) return peer.server.invoke(method, request, call);
      return send(peer, headOf(hash, call), [encodeRequest, request], call.deadlineMs, (body) =>
        decodeResponse(body, body.end),
      );
    });
  }

  /** One attempt at one replica, by its index; no failover, no second try. */
  async callOne<I, O>(
    index: number,
    method: Method<I, O>,
    request: I,
    options: CallOptions = {},
  ): Promise<O> {
    const call = this.#callOf(options);
    const peer = this.peers[index]!;
    if (!(peer instanceof Peer)) return peer.server.invoke(method, request, call);
    return send(
      peer,
      headOf(method.hash, call),
      [method.encodeRequest, request],
      call.deadlineMs,
      (body) => method.decodeResponse(body, body.end),
    );
  }

  /** Forwards an encoded request without looking into it; resolves to the encoded response. */
  callBytes(hash: number, request: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#try(options, (index, call) => {
      const peer = this.peers[index]!;
      if (!(peer instanceof Peer)) return peer.server.invokeBytes(hash, request, call);
      return send(peer, headOf(hash, call), request, call.deadlineMs, (body) =>
        Buffer.from(body.buffer.subarray(body.pos, body.end)),
      );
    });
  }

  async #try<O>(
    options: CallOptions,
    attempt: (index: number, call: Call) => Promise<O>,
  ): Promise<O> {
    const call = this.#callOf(options);
    const first = options.order === undefined ? this.#firstChoice() : undefined;
    let lastError: RpcError | undefined;
    if (first !== undefined) {
      try {
        return await attempt(first, call);
      } catch (error) {
        lastError = this.#failed(error, undefined);
      }
    }
    return this.#tryAll(options, call, attempt, first, lastError);
  }

  /** Round after round over the replicas, with a growing pause between rounds, until the deadline. */
  async #tryAll<O>(
    options: CallOptions,
    call: Call,
    attempt: (index: number, call: Call) => Promise<O>,
    tried: number | undefined,
    firstError: RpcError | undefined,
  ): Promise<O> {
    let lastError = firstError;
    for (let round = 0; ; round++) {
      const order = this.#order(options.order);
      for (const index of order) {
        if (round === 0 && index === tried) continue;
        if (call.deadlineMs <= monotonicMs()) throw this.#outOfTime(lastError);
        if (lastError !== undefined) failovers.value += 1;
        try {
          return await attempt(index, call);
        } catch (error) {
          lastError = this.#failed(error, lastError);
        }
      }
      const pauseMs =
        Math.min(RETRY_PAUSE_LAST_MS, RETRY_PAUSE_FIRST_MS * 2 ** round) * (0.5 + Math.random());
      if (call.deadlineMs - monotonicMs() <= pauseMs) throw this.#outOfTime(lastError);
      await rest(pauseMs);
    }
  }

  /** The usual case without a list: the replica of the own campus, when it is usable. */
  #firstChoice(): number | undefined {
    return this.#own >= 0 && this.peers[this.#own]!.usable ? this.#own : undefined;
  }

  #order(wanted: readonly number[] | undefined): number[] {
    if (wanted !== undefined) return usableFirst(this.peers, wanted, this.#blocked);
    this.#turn = (this.#turn + 1) >>> 0;
    return pickOrder(this.peers, this.#campus, this.#turn, this.#blocked);
  }

  #callOf(options: CallOptions): Call {
    return {
      deadlineMs: options.deadlineMs ?? monotonicMs() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
      operationId: options.operationId ?? NO_BYTES,
      ticket: options.ticket ?? NO_BYTES,
      caller: this.#caller,
      trace: options.trace ?? newTrace(),
      priority: options.priority ?? 0,
    };
  }

  /** The reason to go on with; throws what is the call's result. */
  #failed(error: unknown, before: RpcError | undefined): RpcError {
    const isLate = error instanceof RpcError && error.code === "DEADLINE_EXCEEDED";
    if (isLate && before !== undefined) throw this.#outOfTime(before);
    return moreTelling(before, retryableOrThrow(error));
  }

  #outOfTime(last: RpcError | undefined): RpcError {
    const why = last === undefined ? "its deadline had passed" : `last: ${last.message}`;
    const code = last?.code ?? "UNAVAILABLE";
    return new RpcError(code, `no replica of ${this.service} could do it in time (${why})`);
  }
}

function headOf(method: number, call: Call): Omit<RequestHead, "callId"> {
  const { operationId, ticket, caller, trace, priority } = call;
  // At least 1 ms: 0 would mean a call that is born dead.
  const timeoutMs = Math.max(1, Math.ceil(call.deadlineMs - monotonicMs()));
  return { method, timeoutMs, operationId, ticket, caller, trace, priority };
}

function send<O, B>(
  peer: Peer,
  head: Omit<RequestHead, "callId">,
  body: readonly [(w: never, m: B) => void, B] | Uint8Array,
  deadlineMs: number,
  decode: (body: Reader) => O,
): Promise<O> {
  const ready = peer.ready;
  peer.onBusy();
  if (ready === undefined) {
    return peer.session().then((session) => request(session));
  }
  return request(ready);

  function request(session: NonNullable<Peer["ready"]>): Promise<O> {
    return new Promise<O>((resolve, reject) => {
      const waiter: Waiter = {
        deadlineMs,
        reply: (reader) => {
          try {
            resolve(decode(reader));
          } catch (error) {
            reject(error);
          }
        },
        fail: reject,
      };
      session.request(head, body as Parameters<typeof session.request>[1], waiter);
    });
  }
}

/** "A disk is full" or "no quorum" is not to be forgotten over a last attempt that had no time left. */
function moreTelling(before: RpcError | undefined, now: RpcError): RpcError {
  return before !== undefined && before.code !== "UNAVAILABLE" && now.code === "UNAVAILABLE"
    ? before
    : now;
}

/** A failure that another replica may not have; anything else is the call's result. */
function retryableOrThrow(error: unknown): RpcError {
  if (error instanceof RpcError && error.retryable) return error;
  if (error instanceof CodecError) {
    throw new RpcError("INTERNAL", `a response cannot be read: ${error.message}`, { cause: error });
  }
  throw error;
}
