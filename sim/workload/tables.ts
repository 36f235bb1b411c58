/**
 * Operations on tables. Rows "u..." are written and deleted, "i..." only inserted if absent, "n/..."
 * appended; one mark a table is raised step by step; rows "u" and "n/" are trimmed. Values and append
 * ids never repeat.
 */
import type { Trim, RowOperation as Wire } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { NO_BYTES } from "../../services/svrkit/codec.ts";
import { RpcError } from "../../services/svrkit/errors.ts";
import type { RowOperation, SeenRow, SeenTrim } from "../history.ts";
import {
  type Actor,
  drawLevel,
  hex,
  newValue,
  operationIdOf,
  perform,
  type ReadLevel,
  STRONG,
} from "./clients.ts";
import { keyNamed } from "./keys.ts";
import { valueBytes, valueText } from "./values.ts";

const TIMEOUT_MS = 4_000;
const UPSERT_ROWS = 6;
const INSERT_ROWS = 40;
/** A page must hold a whole table. */
const ROW_BYTES_MAX = 4_000;
const MARK = "m";
const APPEND_PREFIX = "n/";
const TRIMMED = ["u", APPEND_PREFIX];

/** One random operation on a random table. */
export async function actOnTable(actor: Actor, tables: readonly string[]): Promise<void> {
  const table = actor.random.pick(tables);
  const roll = actor.random.next();
  if (roll < 0.2) await readRows(actor, table, TIMEOUT_MS, drawLevel(actor));
  else if (roll < 0.4) await readChanges(actor, table);
  else await changeTable(actor, table);
}

export function readRows(
  actor: Actor,
  table: string,
  timeoutMs = TIMEOUT_MS,
  { level, told }: ReadLevel = STRONG,
): Promise<boolean> {
  const page = { first: NO_BYTES, end: NO_BYTES, limit: 1_000, reverse: false };
  return perform(
    actor,
    { op: "rows", key: table, id: "", ...told },
    () => actor.kv.scanRows({ key: keyNamed(table), ...page, level }, { timeoutMs }),
    ({ version, lastNumber, rows, more, trims }) => {
      if (more) throw new RpcError("INTERNAL", "the table outgrew a page");
      return { version, lastNumber, rows: rows.map(seenRow), ...seenTrims(trims) };
    },
  );
}

function readChanges(actor: Actor, table: string): Promise<boolean> {
  const after = actor.random.index((actor.newest.get(table) ?? 0) + 1);
  const { level, told } = drawLevel(actor);
  const request = { key: keyNamed(table), afterVersion: after, limit: 1_000, level };
  return perform(
    actor,
    { op: "changes", key: table, id: "", after, ...told },
    () => actor.kv.scanChanges(request, { timeoutMs: TIMEOUT_MS }),
    ({ version, throughVersion, rows, more, trims }) => {
      if (more) throw new RpcError("INTERNAL", "the table outgrew a page");
      actor.newest.set(table, version);
      return { version, through: throughVersion, rows: rows.map(seenRow), ...seenTrims(trims) };
    },
  );
}

function seenTrims(trims: readonly Trim[]) {
  if (trims.length === 0) return {};
  const seen = trims.map((trim): SeenTrim => [rowName(trim.rowPrefix), trim.throughVersion]);
  return { trims: seen.sort(([a], [b]) => (a < b ? -1 : 1)) };
}

function rowName(row: Uint8Array): string {
  return Buffer.from(row).toString("latin1");
}

function seenRow(row: {
  row: Uint8Array;
  value: Uint8Array;
  deleted: boolean;
  version: number;
}): SeenRow {
  const name = rowName(row.row);
  const number = name.startsWith(APPEND_PREFIX)
    ? `${APPEND_PREFIX}${Buffer.from(row.row).readUIntBE(APPEND_PREFIX.length + 2, 6)}`
    : name;
  return [number, row.deleted ? null : valueText(row.value), row.version];
}

/** A change of up to three rows, every third time with a step of the mark. */
export function changeTable(actor: Actor, table: string, timeoutMs = TIMEOUT_MS): Promise<boolean> {
  const { random } = actor;
  const operations = Array.from({ length: 1 + random.index(3) }, () => rowOperation(actor, table));
  const mark = random.chance(0.3) ? nextStep(actor, table) : undefined;
  // What can only happen once by itself may go without an operation id.
  const isSafe =
    mark === undefined && operations.every((o) => o.do === "insert" || o.do === "append");
  actor.begun += 1;
  const operationId = isSafe && random.chance(0.3) ? NO_BYTES : operationIdOf(actor);
  const guards = mark === undefined ? [] : [markGuard(mark)];
  const change = { guards, operations: operations.map(wireOperation) };
  return perform(
    actor,
    { op: "change", key: table, id: hex(operationId), operations, ...(mark && { mark }) },
    () => actor.kv.change({ key: keyNamed(table), change }, { operationId, timeoutMs }),
    ({ applied, version, alone, results, failedGuard }) => {
      if (mark !== undefined) actor.marks.set(table, failedGuard?.actual ?? mark.to);
      const seen = results.map((r) => ({
        existed: r.existed,
        value: valueText(r.value),
        number: r.number,
      }));
      return {
        applied,
        version,
        alone,
        results: seen,
        ...(failedGuard && { actual: failedGuard.actual }),
      };
    },
  );
}

function nextStep(actor: Actor, table: string) {
  const from = actor.marks.get(table) ?? 0;
  return { name: MARK, from, to: from + 1 + actor.random.index(3) };
}

function markGuard({ name, from, to }: { name: string; from: number; to: number }) {
  const value = { name: Buffer.from(name), from, to, allowSkip: false };
  return { guard: { case: "mark" as const, value } };
}

function rowOperation(actor: Actor, table: string): RowOperation {
  const { random } = actor;
  const value = newValue(actor, ROW_BYTES_MAX);
  const roll = random.next();
  if (roll < 0.3) return { do: "upsert", row: `u${random.index(UPSERT_ROWS)}`, value };
  if (roll < 0.4) return { do: "delete", row: `u${random.index(UPSERT_ROWS)}` };
  if (roll < 0.44) {
    const through = random.index((actor.newest.get(table) ?? 0) + 1);
    return { do: "trim", prefix: random.pick(TRIMMED), through };
  }
  if (roll < 0.7) return { do: "insert", row: `i${random.index(INSERT_ROWS)}`, value };
  return { do: "append", id: `a${value}`, value };
}

function wireOperation(operation: RowOperation): Wire {
  const bytes = (name: string) => Buffer.from(name);
  switch (operation.do) {
    case "upsert": {
      const value = { row: bytes(operation.row), value: valueBytes(operation.value) };
      return { operation: { case: "upsert", value } };
    }
    case "insert": {
      const value = { row: bytes(operation.row), value: valueBytes(operation.value) };
      return { operation: { case: "insertIfAbsent", value } };
    }
    case "delete":
      return { operation: { case: "delete", value: bytes(operation.row) } };
    case "append": {
      const { id, value } = operation;
      const append = { id: bytes(id), prefix: bytes(APPEND_PREFIX), value: valueBytes(value) };
      return { operation: { case: "append", value: append } };
    }
    case "trim": {
      const { prefix, through } = operation;
      const trim = { throughVersion: through, rowPrefix: bytes(prefix), appendIds: false };
      return { operation: { case: "trim", value: trim } };
    }
  }
}
