/** Options of a queue log. */
import { z } from "zod";

const MIB = 1024 * 1024;

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
