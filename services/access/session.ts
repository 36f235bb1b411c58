/** What access answers itself: a log-in with its first sync in one, and where else clients may go. */
import { Account, type LoginReply } from "../../protos/gen/tricampus/client/v1/account_codec.ts";
import {
  decodeEndpointsRequest,
  decodeOpenRequest,
  type EndpointsReply,
  encodeEndpointsReply,
  encodeOpenReply,
  type OpenReply,
  type OpenRequest,
  Session,
} from "../../protos/gen/tricampus/client/v1/session_codec.ts";
import { Sync } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import type { CallOptions } from "../svrkit/call.ts";
import type { Callee } from "../svrkit/client.ts";
import { type Decode, fromBytes, toBytes } from "../svrkit/codec.ts";
import { RpcError, requireArgument } from "../svrkit/errors.ts";
import type { AccessConfig } from "./config.ts";
import { ENDPOINTS_REFRESH_MS } from "./limits.ts";

export interface SessionParts {
  readonly callee: (service: string) => Callee;
  readonly endpoints: AccessConfig["endpoints"];
  /** Whether a campus takes no clients now. */
  readonly isClosed: (campus: string) => boolean;
}

/** By svrkit's hash of the method: bytes in, bytes out. */
export type OwnMethods = ReadonlyMap<
  number,
  (body: Uint8Array, options: CallOptions) => Promise<Uint8Array>
>;

export function sessionMethods(parts: SessionParts): OwnMethods {
  return new Map([
    [
      Session.open.hash,
      async (body: Uint8Array, options: CallOptions) =>
        toBytes(encodeOpenReply, await open(parts, read(decodeOpenRequest, body), options)),
    ],
    [
      Session.endpoints.hash,
      async (body: Uint8Array) => {
        read(decodeEndpointsRequest, body);
        return toBytes(encodeEndpointsReply, endpointsOf(parts));
      },
    ],
  ]);
}

function read<T>(decode: Decode<T>, body: Uint8Array): T {
  try {
    return fromBytes(decode, body);
  } catch (error) {
    throw new RpcError(
      "INVALID_ARGUMENT",
      `the request cannot be read: ${(error as Error).message}`,
    );
  }
}

async function open(
  { callee }: SessionParts,
  request: OpenRequest,
  options: CallOptions,
): Promise<OpenReply> {
  const login = await logIn(callee("account"), request, options);
  if (request.sync === undefined) return { login, sync: undefined };
  // A client that has its log-in and no rows yet asks again for those alone.
  const sync = await callee("sync")
    .call(Sync.sync, request.sync, { ...options, ticket: login.ticket })
    .catch(() => undefined);
  return { login, sync };
}

function logIn(account: Callee, request: OpenRequest, options: CallOptions): Promise<LoginReply> {
  const given = request.with;
  requireArgument(given !== undefined, "none of register, login and token is there");
  switch (given.case) {
    case "register":
      return account.call(Account.register, given.value, options);
    case "login":
      return account.call(Account.login, given.value, options);
    case "token":
      return account.call(Account.loginWithToken, given.value, options);
  }
}

function endpointsOf({ endpoints, isClosed }: SessionParts): EndpointsReply {
  return {
    endpoints: endpoints.map((one) => ({ ...one, closed: isClosed(one.campus) })),
    refreshMs: ENDPOINTS_REFRESH_MS,
  };
}
