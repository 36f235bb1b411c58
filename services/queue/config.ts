/** Options of the queue. */
import { z } from "zod";
import { LETTERS_BYTES_MAX, LETTERS_KEPT_DAYS } from "./limits.ts";

const schema = z.strictObject({
  /** Services that are the logs of group 1 and 2. */
  logServices: z.tuple([z.string(), z.string()]).default(["queuelog-1", "queuelog-2"]),
  /** What consumers gave up is forgotten after so long ... */
  deadLettersKeepDays: z.number().min(0).max(3_650).default(LETTERS_KEPT_DAYS),
  /** ... and before, the oldest first, when all of it has more bytes than this. */
  deadLettersBytesMax: z
    .int()
    .min(1024 * 1024)
    .max(1024 ** 3)
    .default(LETTERS_BYTES_MAX),
  /** How often what is too old is looked for. */
  deadLettersTidyMs: z.int().min(100).max(86_400_000).default(3_600_000),
});

export type QueueConfig = z.output<typeof schema>;

export function checkQueueConfig(options: unknown): QueueConfig {
  return schema.parse(options ?? {});
}
