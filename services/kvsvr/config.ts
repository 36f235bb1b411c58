/** KVSvr's options. */
import { z } from "zod";
import { CHECKPOINT_INTERVAL_MS } from "./limits.ts";

export const configSchema = z.strictObject({
  /** Memory for registers that are in use or were lately, bytes. */
  cacheBytes: z
    .number()
    .int()
    .min(1024 * 1024)
    .default(96 * 1024 * 1024),
  /** How old dirty state may become before it is written to the state engine. */
  checkpointMs: z.number().int().min(1).default(CHECKPOINT_INTERVAL_MS),
  /** Epoch of the group's membership; raised when a member is replaced. */
  epoch: z.number().int().min(1).default(1),
});

export type Config = z.infer<typeof configSchema>;
