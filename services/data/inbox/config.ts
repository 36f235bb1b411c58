import { z } from "zod";

export const inboxDataOptions = z.strictObject({
  /**
   * Bytes of rows that fan-out has on their way to the store at once, over all calls of Deliver. While the store is
   * slow: enough to fill its groups, and little enough that a sender's own write does not wait behind it.
   */
  fanoutBytesInFlightMin: z.int().min(16_384).max(4_194_304).default(131_072),
  /** And while it is quick: a message to a group of 500 goes at once. Below the other one, this one counts. */
  fanoutBytesInFlightMax: z.int().min(16_384).max(16_777_216).default(2_097_152),
});

export type InboxDataOptions = z.infer<typeof inboxDataOptions>;
