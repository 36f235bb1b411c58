/** What a version of a busy table, or of one with large rows, may take in. */
import { expect, test } from "vitest";
import type { RowOperation, TableChange } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { composeKey, composeTable } from "./compose.ts";
import { openDecision, sealDecision } from "./decision.ts";
import {
  KEY_OPERATIONS_BYTES_MAX,
  OPERATION_HEAD_BYTES,
  packOperations,
  TABLE_OPERATIONS_BYTES_MAX,
} from "./operations.ts";
import { EMPTY_REGISTER, type Register, step } from "./register.ts";
import { CHANGE_RESULT_BYTES_MAX, type TableView } from "./table.ts";

const NOW_MS = 1_700_000_000_000;
const owner = { replica: 0, incarnation: 1 };
const large = Buffer.alloc(CHANGE_RESULT_BYTES_MAX / 4);

let made = 0;
function idMadeAt(ms: number): Buffer {
  const id = Buffer.alloc(16, 7);
  id.writeUIntBE(ms, 0, 6);
  id.writeUInt32BE(made++, 12);
  return id;
}

/** Every row that is named so is there, and large. */
const viewOf = (register: Register): TableView => ({
  version: register.heldVersion,
  lastNumber: 0,
  trims: [],
  row: (inner) => (inner.toString().includes("large") ? { value: large, version: 1 } : undefined),
});

const changeOf = (...operations: RowOperation["operation"][]): TableChange => ({
  guards: [],
  operations: operations.map((operation) => ({ operation })),
});
const insert = (row: string) => ({
  case: "insertIfAbsent" as const,
  value: { row: Buffer.from(row), value: Buffer.from("v") },
});
const append = (id: string) => ({
  case: "append" as const,
  value: { id: Buffer.from(id), prefix: Buffer.of(), value: large },
});

const write = (change: TableChange, ms = NOW_MS, isRetry = false) => ({
  operationId: idMadeAt(ms),
  change,
  isRetry,
});

function changed(register: Register, writes: readonly ReturnType<typeof write>[]) {
  const { body, outcomes } = composeTable(register, viewOf(register), writes);
  if (body === undefined) return { register, outcomes, bytes: 0 };
  const decision = sealDecision(register.heldVersion + 1, owner, body);
  const learned = step(register, { kind: "learn", decision: openDecision(decision.bytes) });
  return { register: learned.register, outcomes, bytes: decision.bytes.length };
}

const kinds = (outcomes: readonly { outcome: string }[]) => outcomes.map(({ outcome }) => outcome);

test("kv: what a change returns of rows that are there is bounded, whatever it writes", () => {
  const four = changeOf(insert("large 1"), insert("large 2"), insert("large 3"), insert("large 4"));
  const five = changeOf(...four.operations.map(({ operation }) => operation), insert("large 5"));
  const own = changeOf(...Array.from({ length: 5 }, () => insert(`own`)));
  expect(kinds(changed(EMPTY_REGISTER, [write(four), write(five), write(own)]).outcomes)).toEqual([
    "reply",
    "resultTooLarge",
    "reply",
  ]);
  const appended = changeOf(append("id"), ...Array.from({ length: 5 }, () => ROW_ONE));
  const refused = changed(EMPTY_REGISTER, [write(appended), write(changeOf(insert("x")))]);
  expect(kinds(refused.outcomes)).toEqual(["resultTooLarge", "reply"]);
  // Nothing of it is left: the next one is numbered as if it had not been there.
  expect(refused.register.held).toMatchObject({ lastNumber: 0 });
});

/** The row under which a table's first append lies. */
const ROW_ONE = {
  case: "insertIfAbsent" as const,
  value: { row: Buffer.from([0, 0, 0, 0, 0, 0, 0, 1]), value: Buffer.from("v") },
};

test("S4: replies with large rows do not make a decision that no frame carries", () => {
  const writing = changeOf(insert("new"), insert("large"));
  const writes = Array.from({ length: 256 }, () => write(writing, NOW_MS, true));
  const { register, outcomes, bytes } = changed(EMPTY_REGISTER, writes);
  const taken = kinds(outcomes).filter((kind) => kind === "reply").length;
  expect(taken).toBe(Math.floor(TABLE_OPERATIONS_BYTES_MAX / (large.length + 200)));
  expect(kinds(outcomes).filter((kind) => kind === "tooOften")).toHaveLength(256 - taken);
  expect(bytes).toBeLessThan(TABLE_OPERATIONS_BYTES_MAX + 1_000);
  // What writes nothing needs no room, and there is room again when the first are old.
  expect(kinds(changed(register, [write(changeOf(insert("large")))]).outcomes)).toEqual(["reply"]);
  expect(kinds(changed(register, [write(writing, NOW_MS + 2_000)]).outcomes)).toEqual(["reply"]);
});

test("S4: a retry that is packed together with its first attempt is remembered, though it wrote nothing", () => {
  const present = [changed(EMPTY_REGISTER, [write(changeOf(insert("large")))])][0]!.register;
  const first = write(changeOf(insert("large")));
  const once = composeTable(present, viewOf(present), [first]);
  expect(once.body).toBeUndefined();
  const twice = composeTable(present, viewOf(present), [first, { ...first, isRetry: true }]);
  expect(twice.body?.case === "table" && twice.body.value.operations?.kept.length).toBeGreaterThan(
    0,
  );
});

test("S4: a key that is written more often than its ids can be remembered refuses, and goes on", () => {
  const most = Math.floor(KEY_OPERATIONS_BYTES_MAX / OPERATION_HEAD_BYTES);
  const remembered = Array.from({ length: most }, () => ({
    id: idMadeAt(NOW_MS),
    version: 1,
    reply: Buffer.of(),
  }));
  const operations = packOperations(remembered);
  const value = { deleted: false, value: Buffer.of(), operations };
  const decision = sealDecision(1, owner, { case: "key", value });
  const { register } = step(EMPTY_REGISTER, { kind: "learn", decision });
  const request = {
    key: undefined,
    write: { case: "put" as const, value: Buffer.of() },
    expectedVersion: undefined,
  };
  const put = (ms: number) =>
    composeKey(register, { operationId: idMadeAt(ms), request, forgottenMs: 0 });
  expect(put(NOW_MS + 1_999)).toEqual({ body: undefined, outcomes: [{ outcome: "tooOften" }] });
  expect(kinds(put(NOW_MS + 2_000).outcomes)).toEqual(["reply"]);
});
