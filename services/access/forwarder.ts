/**
 * From a client's method name to the service behind it: the same for every way in, so that the same
 * request has the same result and the same error on all. Bodies pass as bytes; only the
 * service that serves them reads them.
 */
import { Text } from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { bucketOf, LAST_BUCKET, priorityOf, USER_BUCKETS } from "../svrkit/admission/priority.ts";
import type { TokenBuckets } from "../svrkit/admission/token-buckets.ts";
import type { CallOptions } from "../svrkit/call.ts";
import type { Callee } from "../svrkit/client.ts";
import { CodecError, NO_BYTES } from "../svrkit/codec.ts";
import { inForce } from "../svrkit/config/limits-in-force.ts";
import { codes, RpcError } from "../svrkit/errors.ts";
import type { Logger } from "../svrkit/log.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import type { Server } from "../svrkit/server.ts";
import type { CheckLimit, TicketVerifier } from "../svrkit/ticket/verify.ts";
import { inTrace, newTrace } from "../svrkit/tracing/context.ts";
import type { Sampler } from "../svrkit/tracing/sampler.ts";
import { beginTrace } from "../svrkit/tracing/span.ts";
import { LATE_AS_NEW_EVERY_MS, REQUEST_TIMEOUT_MS } from "./limits.ts";
import { CLIENT_METHODS, type ClientMethod, classOf, OWN_SERVICE } from "./methods.ts";
import { countSends } from "./partial-codec.ts";
import type { OwnMethods } from "./session.ts";

/** Requests of clients that were forwarded, and those of them that the platform failed to do. */
const requests = monitorId("access.requests");
const failed = monitorId("access.requests_failed");

export interface ForwarderParts {
  readonly callee: (service: string) => Callee;
  readonly tickets: TicketVerifier;
  readonly own: OwnMethods;
  readonly rates: TokenBuckets;
  readonly sampler: Sampler;
  readonly log: Logger;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Since when the request that is taken now may have been waiting, by the same clock. */
  readonly arrived: () => number;
  /** Whose calls this process serves besides: requests are let in, or shed, by the same rules. */
  readonly server: Pick<Server, "admits" | "ended">;
}

export interface ForwardedRequest {
  readonly ticket: Uint8Array;
  readonly body: Uint8Array;
  /** The client wants it traced. */
  readonly isForced: boolean;
  /** Nobody waits for it any more. */
  readonly isLate?: boolean;
  /** Of a request that is done in several steps, from the second on; default: it arrived in this turn of the loop. */
  readonly deadlineMs?: number;
}

export class Forwarder {
  readonly #callees = new Map<string, Callee>();
  readonly #parts: ForwarderParts;
  /** A late request that is as good as a new one: whether one is open, and from when on the next may be. */
  #isLateOpen = false;
  #nextLateMs = 0;

  constructor(parts: ForwarderParts) {
    this.#parts = parts;
    for (const { service } of CLIENT_METHODS.values()) {
      if (service !== OWN_SERVICE && !this.#callees.has(service)) {
        this.#callees.set(service, parts.callee(service));
      }
    }
  }

  /**
   * The method of that name, if this ticket may use it, and its user did not ask too often; throws
   * UNIMPLEMENTED, UNAUTHENTICATED or RESOURCE_EXHAUSTED. `limit`: of a ticket that came just now.
   */
  admit(name: string, ticket: Uint8Array, limit?: CheckLimit): ClientMethod {
    const method = CLIENT_METHODS.get(name);
    if (method === undefined) {
      throw new RpcError(
        "UNIMPLEMENTED",
        `there is no method "${printable(name)}"; see protos/tricampus/client/v1`,
      );
    }
    const { tickets, rates, now } = this.#parts;
    if (!method.needsTicket || rates.take(tickets.verify(ticket, limit).userId, now()))
      return method;
    throw tooOften();
  }

  /** Of a request read in this turn of the event loop: its time runs since it came, for all that is done for it. */
  deadlineMs(): number {
    return this.#parts.arrived() + REQUEST_TIMEOUT_MS;
  }

  /** Something may be begun here now, or throws OVERLOADED; tell when it has `ended`. */
  letIn(priority: number): void {
    const { server, arrived, now } = this.#parts;
    if (!server.admits(priority, { arrivedMs: arrived() }, now())) throw overloaded();
  }

  ended(priority: number): void {
    this.#parts.server.ended(priority, this.#parts.now());
  }

  /** Resolves to the encoded response. */
  async forward(method: ClientMethod, request: ForwardedRequest): Promise<Uint8Array> {
    this.#requireRoom(method, request);
    monitor.add(requests, 1);
    const startedMs = this.#parts.now();
    const span = this.#parts.sampler.takes(request.isForced, startedMs)
      ? beginTrace({ name: method.name, kind: "entry", startedMs })
      : undefined;
    const trace = span?.context ?? newTrace();
    try {
      const response = await this.#forward(method, request, trace);
      span?.end();
      return response;
    } catch (thrown) {
      const error = RpcError.from(thrown);
      if (isOurFault(error)) monitor.add(failed, 1);
      span?.end(error.code);
      if (thrown === error) throw error;
      const { name } = method;
      this.#parts.log.error(
        { err: thrown, method: name, ...inTrace(trace) },
        "a request failed unexpectedly",
      );
      throw new RpcError("INTERNAL", `${name} failed unexpectedly; the access log has the cause`);
    }
  }

  /** Many sends in one request count as many; that it was admitted for one is taken back. */
  #requireRoom({ hash }: ClientMethod, { ticket, body }: ForwardedRequest): void {
    if (hash !== Text.sendMany.hash) return;
    const sends = sendsIn(body);
    if (sends <= 1) return;
    const { tickets, rates, now } = this.#parts;
    const { userId } = tickets.verify(ticket);
    rates.giveBack(userId, now());
    if (!rates.take(userId, now(), sends)) throw tooOften();
  }

  /**
   * A late one comes behind all others of its class, at every service: an overload that lasts would keep it away until
   * it is over. So now and then one of them counts as what it was when it was new.
   */
  async #forward(
    method: ClientMethod,
    request: ForwardedRequest,
    trace: Uint8Array,
  ): Promise<Uint8Array> {
    if (request.isLate !== true) return await this.#ask(method, { request, trace, isLast: false });
    const nowMs = this.#parts.now();
    if (this.#isLateOpen || nowMs < this.#nextLateMs)
      return await this.#ask(method, { request, trace, isLast: true });
    this.#isLateOpen = true;
    this.#nextLateMs = nowMs + LATE_AS_NEW_EVERY_MS;
    try {
      return await this.#ask(method, { request, trace, isLast: false });
    } finally {
      this.#isLateOpen = false;
    }
  }

  async #ask(
    method: ClientMethod,
    { request, trace, isLast }: { request: ForwardedRequest; trace: Uint8Array; isLast: boolean },
  ): Promise<Uint8Array> {
    const { ticket, body, deadlineMs = this.deadlineMs() } = request;
    if (deadlineMs <= this.#parts.now()) throw tooLate();
    const priority = isLast ? leastOf(method) : this.#priorityOf(method, ticket);
    this.letIn(priority);
    const options: CallOptions = {
      deadlineMs,
      ticket: method.needsTicket || method.needsApiKey ? ticket : NO_BYTES,
      ...{ priority, trace },
    };
    try {
      const own = this.#parts.own.get(method.hash);
      if (own !== undefined) return await own(body, options);
      return await this.#callees.get(method.service)!.callBytes(method.hash, body, options);
    } finally {
      this.ended(priority);
    }
  }

  /** Of the user on the ticket; who has none yet is in another bucket at every try. */
  #priorityOf(method: ClientMethod, ticket: Uint8Array): number {
    const bucket = method.needsTicket
      ? bucketOf(this.#parts.tickets.verify(ticket).userId, Date.now())
      : Math.floor(Math.random() * USER_BUCKETS);
    return priorityOf(classOf(method, inForce.classes), bucket);
  }
}

/** Behind all others of its class. */
function leastOf(method: ClientMethod): number {
  return priorityOf(classOf(method, inForce.classes), LAST_BUCKET);
}

function tooLate(): RpcError {
  const message = "the request waited here until its client had given up";
  return new RpcError("DEADLINE_EXCEEDED", message);
}

function overloaded(): RpcError {
  const message = "access has too much to do, and requests as important as this one wait too long";
  return new RpcError("OVERLOADED", `${message}: retry later`);
}

function tooOften(): RpcError {
  const message = "one user asks too often: wait a little";
  return new RpcError("RESOURCE_EXHAUSTED", message, { retryable: true });
}

/** What cannot be read is one request: its service says so. */
function sendsIn(body: Uint8Array): number {
  try {
    return countSends(body);
  } catch (error) {
    if (error instanceof CodecError) return 1;
    throw error;
  }
}

/** The platform did not do what it should have; everything else the client has to do differently. */
function isOurFault({ code }: RpcError): boolean {
  return codes[code].http >= 500 && code !== "UNIMPLEMENTED";
}

function printable(name: string): string {
  return name.slice(0, 64).replace(/[^\x20-\x7e]/g, "?");
}
