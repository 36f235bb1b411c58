import { z } from "zod";

export const inboxDataOptions = z.strictObject({
  /** Bytes of rows that one batch of deliveries may carry to the store. */
  batchBytesMax: z.int().min(65_536).max(4_194_304).default(131_072),
  /** Such batches of fan-out on their way at once, over all calls of Deliver. */
  batchesInFlightMax: z.int().min(1).max(16).default(2),
});

export type InboxDataOptions = z.infer<typeof inboxDataOptions>;
