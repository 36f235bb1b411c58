import { z } from "zod";

export const textOptions = z.strictObject({
  /** Sends that failed midway and are carried on in the background, at most. */
  unfinishedMax: z.int().min(1).max(1_000_000).default(10_000),
  /** Sends of other processes that this one looks after, at most. */
  witnessedMax: z.int().min(1).max(1_000_000).default(50_000),
  /** When a send that was not closed is finished: longer than any send takes. */
  sweepAfterMs: z.int().min(1).max(600_000).default(10_000),
  /** Conversations of which the recipient's mark is remembered. */
  marksRememberedMax: z.int().min(1).max(1_000_000).default(20_000),
});
