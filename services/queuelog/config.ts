/** Options of a queue log. */
import { z } from "zod";

const MIB = 1024 * 1024;

const nats = z.strictObject({
  kind: z.literal("nats"),
  /** By campus: its server, "nats://10.0.0.7:4222". Each must lose nothing on its own: sync_interval always. */
  servers: z.record(
    z.string(),
    z.string().regex(/^(nats|tls):\/\/[^\s@]+$/, "nats://host:port, and who calls in secretsDir"),
  ),
  /** Folder with how to prove to the servers who this is (svrkit/server-secrets.ts). */
  secretsDir: z.string().min(1).optional(),
});

const schema = z
  .strictObject({
    /** The group of three logs that this one is part of; from the service's name when left out. */
    group: z.int().min(1).max(2),
    /** A segment file of this size is followed by a new one. */
    segmentBytes: z
      .int()
      .min(MIB)
      .default(16 * MIB),
    /** Payloads of untrimmed entries kept in memory. */
    cacheBytes: z
      .int()
      .min(0)
      .default(16 * MIB),
    /** What keeps the segments: files in the service's folder, or a JetStream server of the campus. */
    engine: z
      .discriminatedUnion("kind", [z.strictObject({ kind: z.literal("embedded") }), nats])
      .default({ kind: "embedded" }),
  })
  .refine((config) => config.cacheBytes <= 16 * config.segmentBytes, {
    message: "cacheBytes is larger than what 16 segments hold; raise segmentBytes",
  });

export type QueueLogConfig = z.output<typeof schema>;

/** `service`: "queuelog-2" is a log of group 2. */
export function checkQueueLogConfig(options: unknown, service: string): QueueLogConfig {
  const group = Number(/-(\d+)$/.exec(service)?.[1]);
  return schema.parse({ group, ...(options as object | undefined) });
}
