/**
 * The client port, and the short way in: POST /v1/<Service>/<Method>, request and response as JSON after
 * protobuf's JSON mapping (bytes are base64, 64-bit integers are strings), the ticket in
 * `Authorization: Bearer` as base64url; `X-Trace: 1` has it traced. Errors: the code's HTTP status and
 * {code, message, retryable}.
 */
import { isUtf8 } from "node:buffer";
import type { Server } from "node:http";
import type { SecureContextOptions } from "node:tls";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import {
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import { decodeLoginReply, Platform } from "../../protos/gen/tricampus/client/v1/account_codec.ts";
import {
  encodeIssueTicketRequest,
  type UserReference,
} from "../../protos/gen/tricampus/client/v1/admin_codec.ts";
import { API_DEVICE } from "../logic/api-device-client.ts";
import { NEVER_SHED } from "../svrkit/admission/priority.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { fromBytes, NO_BYTES, toBytes } from "../svrkit/codec.ts";
import { codes, RpcError } from "../svrkit/errors.ts";
import type { Logger } from "../svrkit/log.ts";
import type { CheckLimit } from "../svrkit/ticket/verify.ts";
import { clientAddress } from "./client-address.ts";
import type { Door } from "./door.ts";
import type { Forgeries } from "./forgeries.ts";
import type { Forwarder } from "./forwarder.ts";
import { COMPRESS_FROM_BYTES, FRAME_BYTES_MAX, UNATTACHED_GRACE_MS } from "./limits.ts";
import { allowOrigins } from "./origins.ts";
import { whenJoined } from "./silence.ts";

const EXTERNAL = "external:";
const ISSUE_TICKET = "Admin/IssueTicket";
const BEARER = /^Bearer ([\w-]+)$/i;

export interface HttpParts {
  readonly forgeries: Forgeries;
  readonly log: Logger;
  readonly door: Door;
  readonly tls: SecureContextOptions | undefined;
  /** Whose pages may read what is answered. */
  readonly origins: readonly string[];
}

export function createHttp(
  forwarder: Forwarder,
  { forgeries, log, door, tls, origins }: HttpParts,
): FastifyInstance {
  const options = { logger: false, bodyLimit: FRAME_BYTES_MAX, requestTimeout: 30_000 };
  const http =
    tls === undefined
      ? fastify(options)
      : (fastify({ ...options, https: tls }) as unknown as FastifyInstance);
  http.removeAllContentTypeParsers();
  http.addContentTypeParser("*", { parseAs: "buffer" }, (_, body, done) => done(null, body));
  allowOrigins(http, origins);
  http.addHook("onRequest", async (request) => {
    if (await whenJoined()) request.raw.destroy();
    const refusal = door.refusal(request.raw.socket);
    if (refusal !== undefined) throw new RpcError("UNAVAILABLE", refusal);
  });
  http.server.on(tls ? "secureConnection" : "connection", (socket) => {
    door.knocked(socket);
    // Its handshake is work of this process that no shed request would have spared.
    forwarder.letIn(NEVER_SHED);
  });
  http.addHook("onSend", async (request, reply, payload) => {
    if (await whenJoined()) request.raw.destroy();
    // The client's next request is to go elsewhere.
    if (door.isClosed) reply.header("connection", "close");
    return compressed(payload, request, reply);
  });
  http.post("/v1/:service/:method", async (request, reply) => {
    const from = clientAddress(request.socket.remoteAddress);
    const ticket = ticketOf(request.headers.authorization);
    return answer(forwarder, request, { reply, ticket, limit: forgeries.limitOf(from) });
  });
  http.post("/v1/as/:user/:service/:method", async (request, reply) => {
    const key = ticketOf(request.headers.authorization);
    // One for both steps; how long each has waited here is its own affair.
    const deadlineMs = forwarder.deadlineMs();
    const ticket = await ticketToActAs(forwarder, request, { key, deadlineMs });
    return answer(forwarder, request, { reply, ticket, deadlineMs });
  });
  http.setNotFoundHandler((request, reply) => {
    const message = `there is nothing at ${request.method} ${request.url.slice(0, 64)}: POST to /v1/<Service>/<Method>`;
    return fail(reply, new RpcError("NOT_FOUND", message));
  });
  http.setErrorHandler((error, _, reply) => fail(reply, asRpcError(error, log)));
  return http;
}

/**
 * Connections have a limit, and sockets one of their own: at it those that wait for a next request make room, and
 * what `makeRoom` ends, at most once a moment.
 */
export function boundSockets(server: Server, max: number, makeRoom: () => void): void {
  server.maxConnections = max;
  let nextMs = 0;
  server.on("drop", () => {
    if (monotonicMs() < nextMs) return;
    nextMs = monotonicMs() + UNATTACHED_GRACE_MS / 4;
    server.closeIdleConnections();
    makeRoom();
  });
}

const zip = promisify(gzip);

async function compressed(
  payload: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  if (typeof payload !== "string" && !Buffer.isBuffer(payload)) return payload;
  const isWorthIt = payload.length >= COMPRESS_FROM_BYTES;
  if (!isWorthIt || !/\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""))) {
    return payload;
  }
  const vary = [reply.getHeader("vary"), "accept-encoding"].filter(Boolean).join(", ");
  reply.header("content-encoding", "gzip").header("vary", vary);
  reply.removeHeader("content-length");
  return zip(payload, { level: 1 });
}

async function answer(
  forwarder: Forwarder,
  request: FastifyRequest,
  how: { reply: FastifyReply; ticket: Uint8Array; limit?: CheckLimit; deadlineMs?: number },
): Promise<unknown> {
  const { reply, ticket, limit, deadlineMs = forwarder.deadlineMs() } = how;
  const { service, method: name } = request.params as { service: string; method: string };
  const method = forwarder.admit(`${service}/${name}`, ticket, limit);
  const body = fromJsonBytes(method.request, request.body);
  const isForced = request.headers["x-trace"] === "1";
  const response = await forwarder.forward(method, { ticket, body, isForced, deadlineMs });
  reply.type("application/json; charset=utf-8");
  return toJson(method.response, fromBinary(method.response, response));
}

/** A server of an integrator does something for a user: its key gets it that user's ticket. */
async function ticketToActAs(
  forwarder: Forwarder,
  { params }: FastifyRequest,
  { key, deadlineMs }: { key: Uint8Array; deadlineMs: number },
): Promise<Uint8Array> {
  const { user, service, method } = params as { user: string; service: string; method: string };
  const by: UserReference["by"] = user.startsWith(EXTERNAL)
    ? { case: "externalId", value: user.slice(EXTERNAL.length) }
    : { case: "userId", value: user };
  const asked = { user: { by }, device: API_DEVICE, platform: Platform.OTHER };
  const body = toBytes(encodeIssueTicketRequest, { ...asked, purpose: `${service}/${method}` });
  const issue = forwarder.admit(ISSUE_TICKET, key);
  const reply = await forwarder.forward(issue, { ticket: key, body, isForced: false, deadlineMs });
  return fromBytes(decodeLoginReply, reply).ticket;
}

function ticketOf(authorization: string | undefined): Uint8Array {
  if (authorization === undefined) return NO_BYTES;
  const [, ticket] = BEARER.exec(authorization) ?? [];
  if (ticket === undefined) {
    throw new RpcError(
      "UNAUTHENTICATED",
      "the Authorization header is not `Bearer <ticket as base64url>`",
    );
  }
  return Buffer.from(ticket, "base64url");
}

function fromJsonBytes(schema: DescMessage, body: unknown): Uint8Array {
  const bytes = Buffer.isBuffer(body) && body.length > 0 ? body : Buffer.from("{}");
  if (!isUtf8(bytes))
    throw new RpcError("INVALID_ARGUMENT", "the request cannot be read: it is not valid UTF-8");
  try {
    return toBinary(schema, fromJson(schema, JSON.parse(bytes.toString()) as JsonValue));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RpcError("INVALID_ARGUMENT", `the request cannot be read: ${reason}`);
  }
}

function asRpcError(error: unknown, log: Logger): RpcError {
  if (error instanceof RpcError) return error;
  const status = (error as { statusCode?: number }).statusCode ?? 500;
  if (status === 413)
    return new RpcError("TOO_LARGE", `a request has at most ${FRAME_BYTES_MAX} bytes`);
  if (status < 500) return new RpcError("INVALID_ARGUMENT", (error as Error).message);
  log.error({ err: error }, "an HTTP request failed unexpectedly");
  return new RpcError("INTERNAL", "the request failed unexpectedly; the access log has the cause");
}

function fail(reply: FastifyReply, error: RpcError): FastifyReply {
  const { code, message, retryable } = error;
  return reply.code(codes[code].http).send({ code, message, retryable });
}
