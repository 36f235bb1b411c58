import { z } from "zod";

export const conversationOptions = z.strictObject({
  /** Whether people are told how far others have read; each user can keep it to itself (account). */
  receipts: z.boolean().default(true),
});
