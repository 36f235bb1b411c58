/** How the parts of the client ask: one request of the client protocol, answered or failed. */
import type { Method } from "../services/svrkit/method.ts";
import type { RequestOptions } from "./link.ts";

const TIMEOUT_MS = 5_000;

export interface Requester {
  request<I, O>(method: Method<I, O>, message: I, options: RequestOptions): Promise<O>;
}

export const REQUEST_OPTIONS: RequestOptions = { timeoutMs: TIMEOUT_MS };
