import { z } from "zod";
import { membersMax } from "./size.ts";

const DAY_MS = 24 * 3_600_000;

export const groupOptions = z.strictObject({
  membersMax,
  /** How long an invitation can be accepted. */
  inviteExpiresMs: z
    .int()
    .min(1_000)
    .max(90 * DAY_MS)
    .default(7 * DAY_MS),
});
