/**
 * Durability (promise 1): what was acknowledged is still there at the end, at every replica that
 * serves. A replica remembers the ids of a key's newest operations, in the order of their versions:
 * an acknowledged one that is not older than all of them is among them.
 */
import type { KeyWrite, Line, ReplicaState, TableWrite } from "../history.ts";
import { byKey } from "./by-key.ts";
import type { Violation } from "./violation.ts";

type Write = KeyWrite | TableWrite;

export function checkDurable(lines: readonly Line[]): Violation[] {
  const states = byKey(lines.filter((line) => line.type === "replica"));
  const writes = byKey(lines.filter(isAcknowledged));
  return [...writes].flatMap(([key, own]) =>
    (states.get(key) ?? []).flatMap((state) => checkOne(key, own, state)),
  );
}

function isAcknowledged(line: Line): line is Write {
  return (
    line.type === "op" &&
    (line.op === "put" || line.op === "delete" || line.op === "change") &&
    line.applied === true
  );
}

function checkOne(key: string, writes: readonly Write[], state: ReplicaState): Violation[] {
  const violations: Violation[] = [];
  const report = (message: string) => violations.push({ checker: "durable", key, message });
  const ids = new Set(state.ids.map(([id]) => id));
  const oldest = Math.min(...state.ids.map(([, version]) => version));
  for (const { op, client, id, version } of writes) {
    const what = `${op} ${id} of client ${client}, version ${version}`;
    if (version! > state.known)
      report(`${what} is lost: replica ${state.replica} knows ${state.known}`);
    // A change that wrote nothing is not remembered, and one of an earlier version may be forgotten.
    else if (op !== "change" && id !== "" && version! > oldest && !ids.has(id))
      report(`${what} is lost: replica ${state.replica} does not remember it`);
  }
  return violations;
}
