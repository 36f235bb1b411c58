/**
 * From a client's method name to the service behind it: the same way for WebSocket and HTTP, so that
 * the same request has the same result and the same error on both. Bodies pass as bytes; only the
 * service that serves them reads them.
 */

import { BUCKETS, bucketOf, priorityOf } from "../svrkit/admission/priority.ts";
import { type CallOptions, newTrace } from "../svrkit/call.ts";
import type { Callee } from "../svrkit/client.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import type { TicketVerifier } from "../svrkit/ticket/verify.ts";
import { REQUEST_TIMEOUT_MS } from "./limits.ts";
import { CLIENT_METHODS, type ClientMethod } from "./methods.ts";

export class Forwarder {
  readonly #callees = new Map<string, Callee>();
  readonly #tickets: TicketVerifier;

  constructor(callee: (service: string) => Callee, tickets: TicketVerifier) {
    this.#tickets = tickets;
    for (const { service } of CLIENT_METHODS.values()) {
      if (!this.#callees.has(service)) this.#callees.set(service, callee(service));
    }
  }

  /** The method of that name, if this ticket may use it; throws UNIMPLEMENTED or UNAUTHENTICATED. */
  admit(name: string, ticket: Uint8Array): ClientMethod {
    const method = CLIENT_METHODS.get(name);
    if (method === undefined) {
      throw new RpcError(
        "UNIMPLEMENTED",
        `there is no method "${printable(name)}"; see protos/tricampus/client/v1`,
      );
    }
    if (method.needsTicket) this.#tickets.verify(ticket);
    return method;
  }

  /** Resolves to the encoded response. */
  forward(method: ClientMethod, ticket: Uint8Array, body: Uint8Array): Promise<Uint8Array> {
    const options: CallOptions = {
      timeoutMs: REQUEST_TIMEOUT_MS,
      ticket: method.needsTicket ? ticket : NO_BYTES,
      priority: this.#priorityOf(method, ticket),
      trace: newTrace(),
    };
    return this.#callees.get(method.service)!.callBytes(method.hash, body, options);
  }

  /** Of the user on the ticket; who has none yet is in another bucket at every try. */
  #priorityOf({ businessClass, needsTicket }: ClientMethod, ticket: Uint8Array): number {
    const bucket = needsTicket
      ? bucketOf(this.#tickets.verify(ticket).userId, Date.now())
      : Math.floor(Math.random() * BUCKETS);
    return priorityOf(businessClass, bucket);
  }
}

function printable(name: string): string {
  return name.slice(0, 64).replace(/[^\x20-\x7e]/g, "?");
}
