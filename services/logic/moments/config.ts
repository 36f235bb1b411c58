/** Options of the service moments. */
import { z } from "zod";

export const momentsOptions = z.strictObject({
  /** A moment goes into so many timelines; further contacts of its author pull it. */
  fanoutMax: z.int().min(0).max(5_000).default(500),
  /** How often deliveries that stopped on their way are looked for, and after how long one has. */
  sweepEveryMs: z.int().min(50).max(3_600_000).default(10_000),
  stoppedAfterMs: z.int().min(0).max(3_600_000).default(15_000),
});
