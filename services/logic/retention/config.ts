import { z } from "zod";

const DAY_MS = 24 * 3_600_000;
/** Client message ids are remembered 7 days, and sends are finished for 6 (sync/plan/orphans.ts). */
const IDS_DAYS = 7;

const days = (least: number, usual: number) =>
  z
    .number()
    .min(0)
    .max(36_500)
    .refine((value) => value >= least, `at least ${least} days`)
    .default(usual);

export const retentionOptions = z.strictObject({
  /**
   * "by-age": messages are kept for `keepDays`, whoever has them. "when-confirmed": an inbox forgets
   * what all of its user's devices have; what not all have it keeps for `keepDays`.
   */
  forget: z.enum(["by-age", "when-confirmed"]).default("by-age"),
  keepDays: days(0, 90),
  /** A device that was silent for so long does not count any more. */
  silentDays: days(0, 30),
  /** Users' own messages, conversations, and with them the ids that keep messages from doubling. */
  idsDays: days(IDS_DAYS, 90),
  /** Media, from their upload on, whoever was shown them. */
  mediaDays: days(0, 90),
  /** Moments in timelines; on their author's page they stay until they are deleted. */
  timelineDays: days(0, 90),
  /** How often everything is looked at. */
  passEveryMs: z
    .int()
    .min(100)
    .max(DAY_MS)
    .default(DAY_MS / 24),
  /** Rest after each table: a pass is to be noticed by nobody. */
  restMs: z.int().min(0).max(1_000).default(5),
});
