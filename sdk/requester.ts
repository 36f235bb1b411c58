/** How the parts of the client ask: one request of the client protocol, answered or failed. */
import type { Method } from "../services/svrkit/method.ts";
import type { RequestOptions } from "./link.ts";

const TIMEOUT_MS = 5_000;

export interface Requester {
  request<I, O>(method: Method<I, O>, message: I, options: RequestOptions): Promise<O>;
}

export const REQUEST_OPTIONS: RequestOptions = { timeoutMs: TIMEOUT_MS };
/** A password takes 50 ms of a core to check, so at a rush everybody waits. */
export const PASSWORD_OPTIONS: RequestOptions = { timeoutMs: 30_000 };
