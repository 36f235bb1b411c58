/** Options of the admin door. */
import { z } from "zod";

const schema = z.strictObject({
  host: z.string().min(1).default("127.0.0.1"),
  port: z.int().min(0).max(65_535),
  /** A person's command holds one a process that it looks at. */
  connectionsMax: z.int().min(1).default(512),
});

export type AdminConfig = z.output<typeof schema>;

export function checkAdminConfig(options: unknown): AdminConfig {
  return schema.parse(options);
}
