import { z } from "zod";

export const groupDataOptions = z.strictObject({
  /** A page of Messages ends when it is about so large. */
  pageBytesMax: z.int().min(65_536).max(524_288).default(131_072),
});

export type GroupDataOptions = z.infer<typeof groupDataOptions>;
