/** A table that a state learns version by version, as from a pipeline, for tests of the storage. */
import { Keyspace } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { sealDecision } from "../protocol/decision.ts";
import { NO_OPERATIONS } from "../protocol/operations.ts";
import { innerKey } from "../protocol/table.ts";
import { ROW_CLASS } from "../protocol/trim.ts";
import type { State } from "../storage/state.ts";

export const TABLE = { keyspace: Keyspace.INBOX, key: Buffer.from("table") };

/** The next version: rows written (`-name`: deleted), and all rows trimmed through a version. */
export function learnChange(state: State, names: readonly string[], through = 0): void {
  const entry = state.entry(TABLE);
  const { heldVersion, heldDigest: baseDigest } = entry.register;
  const rows = names.map((name) => ({
    row: innerKey(ROW_CLASS.row, Buffer.from(name.replace("-", ""))),
    value: Buffer.from(`${name} of ${heldVersion + 1}`),
    deleted: name.startsWith("-"),
  }));
  const trim = { throughVersion: through, rowPrefix: new Uint8Array(), appendIds: false };
  const trims = through > 0 ? [trim] : [];
  const delta = { rows, lastNumber: 0, operations: NO_OPERATIONS, baseDigest, trims };
  const owner = { replica: 0, incarnation: 1 };
  const decision = sealDecision(heldVersion + 1, owner, { case: "table", value: delta });
  state.take(entry, { kind: "learn", decision });
}
