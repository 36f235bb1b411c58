/** The rows that one scripted replica has of its table, forgotten ones included, as an engine would. */
import type { RowOperation } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type {
  StampedRow,
  TableDelta,
  TableDiff,
} from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { assertRule } from "../protocol/assert.ts";
import type { Decision } from "../protocol/decision.ts";
import { NO_OPERATIONS } from "../protocol/operations.ts";
import { type Register, trimsOf } from "../protocol/register.ts";
import { ChangePacker, type TableView } from "../protocol/table.ts";
import { isForgotten } from "../protocol/trim.ts";

export class ScriptedTable {
  readonly #rows = new Map<string, StampedRow>();

  apply(rows: readonly StampedRow[]): void {
    for (const row of rows) this.#rows.set(nameOf(row.row), row);
  }

  /** What a change of these operations (script.ts) decides on top of what is held. */
  change(register: Register, words: readonly string[]): TableDelta {
    const packer = new ChangePacker(this.#view(register));
    const evaluated = packer.evaluate({ guards: [], operations: words.map(operationOf) });
    assertRule(typeof evaluated !== "string", "a scripted change is carried out", () =>
      words.join(),
    );
    packer.carryOut(evaluated);
    const { writes: rows, lastNumber, trims } = packer;
    const { heldDigest: baseDigest } = register;
    return { rows, lastNumber, operations: NO_OPERATIONS, baseDigest, trims };
  }

  #view(register: Register): TableView {
    const trims = trimsOf(register);
    const row = (inner: Uint8Array) => {
      const stored = this.#rows.get(nameOf(inner));
      const isThere = stored && !stored.deleted && !isForgotten(trims, inner, stored.version);
      return isThere ? stored : undefined;
    };
    return { version: register.heldVersion, lastNumber: 0, trims, row };
  }

  diff(register: Register, above: number): TableDiff {
    const rows = this.#present(register).filter((row) => row.version > above);
    const { heldVersion: throughVersion } = register;
    const trims = [...trimsOf(register)];
    return { rows, lastNumber: 0, operations: NO_OPERATIONS, throughVersion, trims };
  }

  /** Deleted rows are present until they are forgotten. */
  #present(register: Register): StampedRow[] {
    const trims = trimsOf(register);
    return [...this.#rows.values()].filter((row) => !isForgotten(trims, row.row, row.version));
  }

  show(register: Register): string {
    const rows = this.#present(register).map((row) => `${showRow(row)}@${row.version}`);
    const trims = trimsOf(register).map(showTrim);
    return [...rows.sort(), ...trims].join(" ") || "no rows";
  }
}

/** What a version does to its table. */
export function showChange(decision: Decision): string {
  const { rows, trims } = decision.delta;
  return [...rows.map(showRow), ...trims.map(showTrim)].join(" ");
}

function showRow({
  row,
  value,
  deleted,
}: {
  row: Uint8Array;
  value: Uint8Array;
  deleted: boolean;
}) {
  const name = nameOf(row.subarray(1));
  return deleted ? `-${name}` : `${name}=${nameOf(value)}`;
}

function showTrim({ throughVersion, rowPrefix }: TableDelta["trims"][number]): string {
  return `trim:${throughVersion}:${nameOf(rowPrefix)}`;
}

function nameOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

function operationOf(word: string): RowOperation {
  const [name = "", value = ""] = word.split("=");
  if (word.startsWith("trim:")) {
    const [, through, prefix = ""] = word.split(":");
    const rowPrefix = Buffer.from(prefix);
    const trim = { throughVersion: Number(through), rowPrefix, appendIds: false };
    return { operation: { case: "trim", value: trim } };
  }
  if (word.startsWith("-"))
    return { operation: { case: "delete", value: Buffer.from(word.slice(1)) } };
  const row = { row: Buffer.from(name), value: Buffer.from(value) };
  return { operation: { case: "upsert", value: row } };
}
