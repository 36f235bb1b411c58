/** Options of the account service. */
import { z } from "zod";

const DAY_MS = 24 * 3_600_000;

const schema = z.strictObject({
  /** Which public key verifies the tickets made here. */
  keyId: z.string().min(1).max(64),
  /** PEM file; only this service is told where it is. */
  privateKeyFile: z.string().min(1),
  ticketLifetimeMs: z
    .int()
    .min(1)
    .default(7 * DAY_MS),
  /** Cost of one password hash; stored with each hash, so it may be raised later. */
  passwordMemoryKib: z.int().min(8).max(1_048_576).default(19_456),
  passwordPasses: z.int().min(1).max(100).default(2),
});

export type AccountConfig = z.output<typeof schema>;

export function checkAccountConfig(options: unknown): AccountConfig {
  return schema.parse(options);
}
