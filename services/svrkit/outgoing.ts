/** The request of a call: a message of its method, or the bytes of one that is only passed on. */
import type { RequestHead } from "../../protos/gen/tricampus/svrkit/v1/frame_codec.ts";
import type { Call } from "./call.ts";
import type { Encode, Reader } from "./codec.ts";
import type { Method } from "./method.ts";
import type { Server } from "./server.ts";
import type { Session, Waiter } from "./transport/session.ts";

/** What is asked: how to write it, how to read the answer, how to carry it out in this process. */
export interface Outgoing<O> {
  readonly method: number;
  send(session: Session, head: RequestHead, waiter: Waiter): void;
  decode(body: Reader): O;
  invokeOn(server: Server, call: Call): Promise<O>;
}

export class TypedRequest<I, O> implements Outgoing<O> {
  readonly #method: Method<I, O>;
  readonly #request: I;

  constructor(method: Method<I, O>, request: I) {
    this.#method = method;
    this.#request = request;
  }

  get method(): number {
    return this.#method.hash;
  }

  send(session: Session, head: RequestHead, waiter: Waiter): void {
    const body: [Encode<I>, I] = [this.#method.encodeRequest, this.#request];
    session.request(head, body, waiter);
  }

  decode(body: Reader): O {
    return this.#method.decodeResponse(body, body.end);
  }

  invokeOn(server: Server, call: Call): Promise<O> {
    return server.invoke(this.#method, this.#request, call);
  }
}

export class BytesRequest implements Outgoing<Uint8Array> {
  readonly method: number;
  readonly #bytes: Uint8Array;

  constructor(method: number, bytes: Uint8Array) {
    this.method = method;
    this.#bytes = bytes;
  }

  send(session: Session, head: RequestHead, waiter: Waiter): void {
    session.request(head, this.#bytes, waiter);
  }

  decode(body: Reader): Uint8Array {
    return Buffer.from(body.buffer.subarray(body.pos, body.end));
  }

  invokeOn(server: Server, call: Call): Promise<Uint8Array> {
    return server.invokeBytes(this.method, this.#bytes, call);
  }
}
