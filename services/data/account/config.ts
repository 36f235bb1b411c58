/** Options of the account-data service: none yet; an option that is misspelt is refused. */
import { z } from "zod";

const schema = z.strictObject({});

export type AccountDataConfig = z.output<typeof schema>;

export function checkAccountDataConfig(options: unknown): AccountDataConfig {
  return schema.parse(options ?? {});
}
