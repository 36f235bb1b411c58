/**
 * What the router needs from whatever remembers connections: the embedded engine, or Redis.
 * One behavioural suite (engine.suite.ts) holds for every engine. Time is an argument, in
 * milliseconds since 1970.
 */
import type {
  CountReply,
  Location,
  RegisterConnectionsRequest,
} from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import { RpcError } from "../svrkit/errors.ts";

/** Every access process has said everything anew by then: it does so every 10 s. */
export const INCOMPLETE_MS = 11_000;

/** An entry that was not said again for so long is gone. */
export const EXPIRY_MS = 30_000;

export interface RouterEngine {
  /** Takes over a report; throws RESOURCE_EXHAUSTED, keeping what fits, when the engine is full. */
  register(report: RegisterConnectionsRequest, nowMs: number): Promise<void> | void;
  /** Where the users are, in the order asked for; users who are offline are left out. */
  lookup(userIds: readonly string[], nowMs: number): Promise<Location[]> | Location[];
  count(nowMs: number): Promise<CountReply> | CountReply;
  /** It began empty, or may have, so short ago that not everybody has been said yet. */
  readonly isIncomplete: boolean;
}

/** "a/access#3": an access process and the number of its start. */
export function parseAccess(access: string): { readonly name: string; readonly start: number } {
  const at = access.lastIndexOf("#");
  const start = Number(access.slice(at + 1));
  if (at < 1 || !Number.isSafeInteger(start)) {
    throw new RpcError(
      "INVALID_ARGUMENT",
      `"${access}" is not the name of an access process, like "a/access#3"`,
    );
  }
  return { name: access.slice(0, at), start };
}

export function fullRouter(connectionsMax: number): RpcError {
  return new RpcError(
    "RESOURCE_EXHAUSTED",
    `the router knows ${connectionsMax} connections, its limit`,
  );
}
