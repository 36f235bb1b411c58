import { z } from "zod";

export const messageDataOptions = z.strictObject({
  /** A page of Read ends when it is about so large. */
  pageBytesMax: z.int().min(65_536).max(524_288).default(524_288),
});

export type MessageDataOptions = z.infer<typeof messageDataOptions>;
