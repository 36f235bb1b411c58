/** A table of this replica as the protocol looks at it: its rows are read one by one where they are. */
import { type Register, trimsOf } from "./protocol/register.ts";
import type { TableView } from "./protocol/table.ts";
import type { Entry } from "./storage/entry.ts";
import type { State } from "./storage/state.ts";

export function viewOf(state: State, entry: Entry): TableView {
  const { register } = entry;
  return {
    version: register.heldVersion,
    isAbsent: register.held.model === "none",
    lastNumber: lastNumberOf(register),
    trims: trimsOf(register),
    row: (inner) => state.row(entry, inner),
  };
}

export function lastNumberOf({ held }: Register): number {
  return held.model === "table" ? held.lastNumber : 0;
}
