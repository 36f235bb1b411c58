/** Asks the platform now and then where clients may connect, and tells the link. */
import { type EndpointsReply, Session } from "../protos/gen/tricampus/client/v1/session_codec.ts";
import type { Link } from "./link.ts";
import { REQUEST_OPTIONS } from "./requester.ts";

/** Not at once: those that came together would ask together, and have other things to do. */
const FIRST_MS = 10_000;
const REFRESH_MS = 10 * 60_000;

export class WhereElse {
  readonly #link: Pick<Link, "request" | "setEndpoints">;
  #dueMs: number;

  constructor(link: Pick<Link, "request" | "setEndpoints">) {
    this.#link = link;
    this.#dueMs = performance.now() + spread(FIRST_MS);
  }

  /** Called while connected. */
  tick(nowMs: number): void {
    if (nowMs < this.#dueMs) return;
    this.#dueMs = nowMs + spread(REFRESH_MS);
    this.#link.request(Session.endpoints, {}, REQUEST_OPTIONS).then(
      (reply) => this.#learned(reply),
      () => {}, // asked again
    );
  }

  #learned({ endpoints, refreshMs }: EndpointsReply): void {
    this.#dueMs = performance.now() + spread(refreshMs > 0 ? refreshMs : REFRESH_MS);
    this.#link.setEndpoints(endpoints.filter(({ closed }) => !closed));
  }
}

function spread(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}
