/** Replica convergence: what serves at the end knows and holds the same, digest by digest. */
import type { Line, ReplicaState } from "../history.ts";
import { byKey } from "./by-key.ts";
import type { Violation } from "./violation.ts";

export function checkReplicas(lines: readonly Line[]): Violation[] {
  const states = lines.filter((line) => line.type === "replica");
  return [...byKey(states)].flatMap(([key, own]) => checkOne(key, own));
}

function checkOne(key: string, states: readonly ReplicaState[]): Violation[] {
  const violations: Violation[] = [];
  const report = (message: string) => violations.push({ checker: "replicas", key, message });
  if (states.length < 2) report(`only ${states.length} replicas serve at the end`);
  for (const state of states) {
    if (state.held !== state.known)
      report(`replica ${state.replica} knows ${state.known} and holds ${state.held}`);
    const [first] = states;
    if (contentOf(state) !== contentOf(first!))
      report(
        `replicas ${first!.replica} and ${state.replica} differ: ${contentOf(first!)} and ${contentOf(state)}`,
      );
  }
  return violations;
}

function contentOf({ known, digest, value, rows }: ReplicaState): string {
  return JSON.stringify({ known, digest, value, rows });
}
