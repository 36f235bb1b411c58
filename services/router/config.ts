/** Options of the router. */
import { z } from "zod";

const redis = z.strictObject({
  kind: z.literal("redis"),
  /** By campus: its server, "redis://10.0.0.7:6379"; rediss:// for TLS. */
  servers: z.record(
    z.string(),
    z.string().regex(/^rediss?:\/\/[^\s@]+$/, "redis://host:port, and who calls in secretsDir"),
  ),
  /** Folder with how to prove to the servers who this is (svrkit/server-secrets.ts). */
  secretsDir: z.string().min(1).optional(),
});

const schema = z.strictObject({
  /** Connections known at once; about 400 bytes each. */
  connectionsMax: z.int().min(1).default(200_000),
  /** What remembers them: this process, or a Redis of the campus. */
  engine: z
    .discriminatedUnion("kind", [z.strictObject({ kind: z.literal("embedded") }), redis])
    .default({ kind: "embedded" }),
});

export type RouterConfig = z.output<typeof schema>;

export function checkRouterConfig(options: unknown): RouterConfig {
  return schema.parse(options ?? {});
}
