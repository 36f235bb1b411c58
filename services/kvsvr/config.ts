/** KVSvr's options. */
import { z } from "zod";

export const configSchema = z.strictObject({
  /** Memory for registers that are in use or were lately, bytes. */
  cacheBytes: z
    .number()
    .int()
    .min(1024 * 1024)
    .default(96 * 1024 * 1024),
  /** Epoch of the group's membership; raised when a member is replaced. */
  epoch: z.number().int().min(1).default(1),
});

export type Config = z.infer<typeof configSchema>;
