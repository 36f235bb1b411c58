/** All checkers of a history, simulated or real. */
import type { Line } from "../history.ts";
import { checkKeys } from "./keys.ts";
import { checkReplicas } from "./replicas.ts";
import type { Violation } from "./violation.ts";

export function checkHistory(lines: readonly Line[]): Violation[] {
  return [...checkKeys(lines), ...checkReplicas(lines)];
}
