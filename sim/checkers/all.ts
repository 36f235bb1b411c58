/** All checkers of a history, simulated or real. */
import type { Line } from "../history.ts";
import { checkDurable } from "./durable.ts";
import { checkExactlyOnce } from "./exactly-once.ts";
import { checkKeys } from "./keys.ts";
import { checkReplicas } from "./replicas.ts";
import { checkTables } from "./tables.ts";
import type { Violation } from "./violation.ts";

export function checkHistory(lines: readonly Line[]): Violation[] {
  return [
    ...checkKeys(lines),
    ...checkTables(lines),
    ...checkDurable(lines),
    ...checkExactlyOnce(lines),
    ...checkReplicas(lines),
  ];
}
