/** What the operator is told by its environment. */
import { z } from "zod";

const schema = z.object({
  /** The pod's name: who holds the Lease, who tells events. */
  POD_NAME: z.string().min(1).default("tricampus-operator"),
  /** The namespace it works in; default: the pod's own. */
  TRICAMPUS_NAMESPACE: z.string().min(1).optional(),
  /** The image that data centres get which name none: the operator's own. */
  TRICAMPUS_IMAGE: z.string().min(1),
  TRICAMPUS_LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error"]).default("info"),
  /** Where health and metrics are told. */
  TRICAMPUS_HTTP_PORT: z.coerce.number().int().min(0).max(65_535).default(7199),
});

export type OperatorConfig = z.output<typeof schema>;

export function checkOperatorConfig(env: NodeJS.ProcessEnv): OperatorConfig {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new Error(`${issue.path.join(".")}: ${issue.message}`);
}
