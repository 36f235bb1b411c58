/** Options of the queue. */
import { z } from "zod";

const schema = z.strictObject({
  /** Services that are the logs of group 1 and 2. */
  logServices: z.tuple([z.string(), z.string()]).default(["queuelog-1", "queuelog-2"]),
});

export type QueueConfig = z.output<typeof schema>;

export function checkQueueConfig(options: unknown): QueueConfig {
  return schema.parse(options ?? {});
}
