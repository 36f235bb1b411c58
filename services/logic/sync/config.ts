import { z } from "zod";

export const syncOptions = z.strictObject({
  /** How often what devices echoed is confirmed to account data. */
  confirmEveryMs: z.int().min(100).max(3_600_000).default(30_000),
  /** Confirmations waiting at once. */
  confirmationsMax: z.int().min(1).max(1_000_000).default(50_000),
  /** Own messages that are checked and finished in the background at once. */
  finishesInFlightMax: z.int().min(1).max(1_000).default(32),
});
