/** KVSvr's options. */
import { z } from "zod";
import {
  BATCH_REPLY_BYTES,
  BATCHES_KEPT_BYTES,
  CHECKPOINT_DIRTY_BYTES,
  CHECKPOINT_INTERVAL_MS,
  FORGET_EVERY_MS,
  FORGET_LEAST,
  FORGET_WINDOW_MS,
  IN_FLIGHT_BYTES,
  SCRUB_EVERY_MS,
  VALUE_BYTES_MAX,
} from "./limits.ts";
import { GROUPS_MAX } from "./protocol/ballot.ts";

export const configSchema = z.strictObject({
  /** Memory for registers that the state engine has too, least recently used out, bytes. */
  cacheBytes: z
    .number()
    .int()
    .min(1024 * 1024)
    .default(96 * 1024 * 1024),
  /** Memory of registers and rows that are newer than the state engine's, after which they are written. */
  checkpointBytes: z
    .number()
    .int()
    .min(1024 * 1024)
    .default(CHECKPOINT_DIRTY_BYTES),
  /** How old dirty state may become before it is written to the state engine. */
  checkpointMs: z.number().int().min(1).default(CHECKPOINT_INTERVAL_MS),
  /** What clients' writes that are not answered yet hold in memory; more of them are refused, bytes. */
  inFlightBytes: z
    .number()
    .int()
    .min(2 * VALUE_BYTES_MAX)
    .default(IN_FLIGHT_BYTES),
  /**
   * What outcomes hold in memory that their callers have not asked for yet (batch.ts); callers of the oldest
   * ask again for each of their operations, bytes.
   */
  batchesBytes: z
    .number()
    .int()
    .min(2 * BATCH_REPLY_BYTES)
    .default(BATCHES_KEPT_BYTES),
  /** How often it is looked whether there are enough tombstones to be forgotten; 0: never. */
  forgetEveryMs: z.number().int().min(0).default(FORGET_EVERY_MS),
  /** How old, by their newest operation, tombstones must be: longer than clients ask again. */
  forgetWindowMs: z.number().int().min(0).default(FORGET_WINDOW_MS),
  /** Fewer tombstones than this stay. */
  forgetLeast: z.number().int().min(1).default(FORGET_LEAST),
  /** How often the state engine is looked through for damage that nobody meets; 0: never. */
  scrubEveryMs: z.number().int().min(0).default(SCRUB_EVERY_MS),
  /** Epoch of the group's membership; raised when a member is replaced. */
  epoch: z.number().int().min(1).default(1),
  /** Number of the group; the first one begins with all slots, the others with none. */
  group: z.number().int().min(1).max(GROUPS_MAX).default(1),
});

export type Config = z.infer<typeof configSchema>;
