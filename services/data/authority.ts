/**
 * Who may do what, checked where the data is (promise 7, M4). A service's name says which part of
 * the platform calls; a user's data is opened by that user's ticket alone.
 */
import type { Call } from "../svrkit/call.ts";
import { RpcError } from "../svrkit/errors.ts";
import type { TicketVerifier } from "../svrkit/ticket/verify.ts";

export function requireCaller(call: Call, allowed: readonly string[], what: string): void {
  if (allowed.includes(call.caller)) return;
  const caller = call.caller === "" ? "a client" : `the service "${call.caller}"`;
  throw new RpcError("PERMISSION_DENIED", `${what} is not for ${caller}`);
}

/** The call must carry a valid ticket of one of `users`; returns whose it is. */
export function requireTicketOf(
  tickets: TicketVerifier,
  call: Call,
  users: readonly string[],
): string {
  const { userId } = tickets.userOf(call);
  if (!users.includes(userId)) {
    throw new RpcError("PERMISSION_DENIED", `the ticket is ${userId}'s: this is not theirs`);
  }
  return userId;
}
