/**
 * What the router needs from whatever remembers connections: the embedded engine here, Redis later.
 * One behavioural suite (engine.suite.ts) holds for every engine. Time is an argument, in
 * milliseconds since 1970.
 */
import type {
  CountReply,
  Location,
  RegisterConnectionsRequest,
} from "../../protos/gen/tricampus/router/v1/router_codec.ts";

/** An entry that was not said again for so long is gone. */
export const EXPIRY_MS = 30_000;

export interface RouterEngine {
  /** Takes over a report; throws RESOURCE_EXHAUSTED, keeping what fits, when the engine is full. */
  register(report: RegisterConnectionsRequest, nowMs: number): Promise<void> | void;
  /** Where the users are, in the order asked for; users who are offline are left out. */
  lookup(userIds: readonly string[], nowMs: number): Promise<Location[]> | Location[];
  count(nowMs: number): Promise<CountReply> | CountReply;
}
