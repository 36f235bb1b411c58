/**
 * Whether new clients are let in. While this campus, or its access, is blocked they are not: they are
 * told why and to go elsewhere, before they have asked for anything. Who is in already is served until
 * it has left.
 */
import type { Socket } from "node:net";
import type { Blocked } from "../svrkit/failover/blocks.ts";

/** What a client that comes now is told. */
export function refusalOf(campus: string, { untilMs, why }: Blocked): string {
  const until = new Date(untilMs).toISOString();
  return `campus ${campus} takes no clients until ${until} (${why}): connect to another campus`;
}

export class Door {
  #reason: string | undefined;
  /** Sockets that came while the door was closed. */
  readonly #late = new WeakSet<Socket>();

  get isClosed(): boolean {
    return this.#reason !== undefined;
  }

  /** Why nobody is let in; undefined when everybody is. */
  get reason(): string | undefined {
    return this.#reason;
  }

  set(reason: string | undefined): void {
    this.#reason = reason;
  }

  /** A connection was opened. */
  knocked(socket: Socket): void {
    if (this.isClosed) this.#late.add(socket);
  }

  /** Why a request on this connection is refused; undefined when it is served. */
  refusal(socket: Socket): string | undefined {
    return this.#late.has(socket) ? this.#reason : undefined;
  }
}
