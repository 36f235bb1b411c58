import { z } from "zod";
import { beforeSendHook } from "../hook-schema.ts";
import { HOOKS } from "../hook-streams.ts";

const MINUTE_MS = 60_000;

export const textOptions = z.strictObject({
  /** Sends that failed midway and are carried on in the background, at most. */
  unfinishedMax: z.int().min(1).max(1_000_000).default(10_000),
  /** Sends of other processes that this one looks after, at most. */
  witnessedMax: z.int().min(1).max(1_000_000).default(50_000),
  /** When a send that was not closed is finished: longer than any send takes. */
  sweepAfterMs: z.int().min(1).max(600_000).default(10_000),
  /** Messages of one group that wait for their fan-out, at most: with more, senders are told to wait. */
  groupBacklogMax: z.int().min(1).max(1_000_000).default(1_000),
  /** Conversations of which the recipient's mark is remembered. */
  marksRememberedMax: z.int().min(1).max(1_000_000).default(20_000),
  /** Whose server has a say before a message is taken; absent: nobody's. */
  beforeSend: beforeSendHook
    /** The secret that requests are signed with. */
    .extend({ secretFile: z.string().min(1) })
    .optional(),
  /** Which hooks are told; a platform on one machine knows it from the options of "hooks". */
  hooks: z.array(z.enum(HOOKS)).default([]),
  /** How long senders can take their messages back; files, images and videos longer. */
  recallMs: z
    .int()
    .min(0)
    .default(2 * MINUTE_MS),
  recallMediaMs: z
    .int()
    .min(0)
    .default(180 * MINUTE_MS),
  /** How long owner and admins of a group can take anybody's message back. */
  recallByAdminMs: z
    .int()
    .min(0)
    .default(24 * 60 * MINUTE_MS),
});

export type TextOptions = z.output<typeof textOptions>;
