import { z } from "zod";

export const inboxDataOptions = z.strictObject({
  /**
   * Bytes of rows that fan-out has on their way to the store at once, over all calls of Deliver: enough
   * to fill the store's groups, and little enough that a sender's own write does not wait behind it.
   */
  fanoutBytesInFlightMax: z.int().min(16_384).max(4_194_304).default(131_072),
});

export type InboxDataOptions = z.infer<typeof inboxDataOptions>;
