/** Options of the router. */
import { z } from "zod";

const schema = z.strictObject({
  /** Connections known at once; about 400 bytes each. */
  connectionsMax: z.int().min(1).default(200_000),
});

export type RouterConfig = z.output<typeof schema>;

export function checkRouterConfig(options: unknown): RouterConfig {
  return schema.parse(options ?? {});
}
