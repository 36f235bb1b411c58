/** Options of the access service. */
import { z } from "zod";
import {
  ATTACH_TIMEOUT_MS,
  BLOCKED_LEAVE_OVER_MS,
  LEAVE_OVER_MS,
  PING_EVERY_MS,
  USER_BURST,
  USER_CONNECTIONS_MAX,
  USER_REQUESTS_PER_SECOND,
} from "./limits.ts";
import { ANY_ORIGIN } from "./origins.ts";

const isOrigin = (value: string) =>
  value === ANY_ORIGIN || (URL.canParse(value) && new URL(value).origin === value);

const schema = z.strictObject({
  /** Where clients connect: WebSocket and HTTP on one port. 0: any free one. */
  host: z.string().min(1).default("127.0.0.1"),
  port: z.int().min(0).max(65_535),
  /** TLS 1.2 and 1.3 for clients, with the certificate and key in these PEM files; absent: plain. */
  tls: z.strictObject({ certFile: z.string().min(1), keyFile: z.string().min(1) }).optional(),
  /** Where clients reach each campus from outside, for Session/Endpoints. */
  endpoints: z
    .array(z.strictObject({ campus: z.string().min(1), url: z.url() }))
    .max(16)
    .default([]),
  /** Whose pages may read the answers of HTTP and long polls; "*": anybody's. */
  origins: z
    .array(z.string().refine(isOrigin, "an origin is like https://chat.example, or *"))
    .max(64)
    .default([ANY_ORIGIN]),
  /** Of so many requests one is traced, on average: 0.001 is one in a thousand, 0 none. */
  traceShare: z.number().min(0).max(1).default(0.001),
  connectionsMax: z.int().min(1).max(1_000_000).default(20_000),
  userRequestsPerSecond: z.number().min(0.1).max(100_000).default(USER_REQUESTS_PER_SECOND),
  userBurst: z.int().min(1).max(1_000_000).default(USER_BURST),
  userConnectionsMax: z.int().min(1).max(10_000).default(USER_CONNECTIONS_MAX),
  /** Time from opening to Attach, or to the last request without one. */
  attachTimeoutMs: z.int().min(100).max(60_000).default(ATTACH_TIMEOUT_MS),
  /** A connection that was not heard for so long is pinged. */
  pingEveryMs: z.int().min(100).max(60_000).default(PING_EVERY_MS),
  /** At a stop, clients are sent away spread over this time. */
  leaveOverMs: z.int().min(0).max(LEAVE_OVER_MS).default(LEAVE_OVER_MS),
  /** When this campus or its access is blocked, clients are sent away spread over this time. */
  blockedLeaveOverMs: z.int().min(0).max(BLOCKED_LEAVE_OVER_MS).default(BLOCKED_LEAVE_OVER_MS),
});

export type AccessConfig = z.output<typeof schema>;

export function checkAccessConfig(options: unknown): AccessConfig {
  return schema.parse(options);
}
