/** Trimming a table (S8), through real replicas. */
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  Keyspace,
  Level,
  type RowOperation,
  type Trim,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { newOperationId } from "../svrkit/operation-id.ts";
import { startCluster, type TestCluster } from "./testing/cluster.ts";

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await startCluster();
});
afterEach(() => cluster.close());

const bytes = (text: string) => Buffer.from(text);
const text = (value: Uint8Array) => Buffer.from(value).toString();
const key = { keyspace: Keyspace.INBOX, key: bytes("t") };

async function change(...operations: RowOperation[]) {
  const operationId = newOperationId();
  return cluster.kv.change({ key, change: { guards: [], operations } }, { operationId });
}
const upsert = (row: string, value: string): RowOperation => ({
  operation: { case: "upsert", value: { row: bytes(row), value: bytes(value) } },
});
const insert = (row: string, value: string): RowOperation => ({
  operation: { case: "insertIfAbsent", value: { row: bytes(row), value: bytes(value) } },
});
const append = (id: string): RowOperation => ({
  operation: { case: "append", value: { id: bytes(id), prefix: bytes("q/"), value: bytes(id) } },
});
const erase = (row: string): RowOperation => ({ operation: { case: "delete", value: bytes(row) } });
const trimmed = (throughVersion: number, rowPrefix = "", appendIds = false): Trim => ({
  throughVersion,
  rowPrefix: bytes(rowPrefix),
  appendIds,
});
const trim = (...asked: Parameters<typeof trimmed>): RowOperation => ({
  operation: { case: "trim", value: trimmed(...asked) },
});
const shown = (trims: readonly Trim[]) =>
  trims.map(({ throughVersion, rowPrefix }) => [throughVersion, text(rowPrefix)]);

function scan(limit = 100) {
  const all = { first: bytes(""), end: bytes(""), limit, level: Level.STRONG, reverse: false };
  return cluster.kv.scanRows({ key, ...all });
}
function changesAfter(afterVersion: number, limit = 100) {
  return cluster.kv.scanChanges({ key, afterVersion, limit, level: Level.STRONG });
}

test("S8: a trim forgets rows and deletions below a version, and readers are told", async () => {
  await change(upsert("a", "1"), upsert("b", "1"));
  await change(erase("b"), upsert("c", "2"));
  const third = await change(upsert("a", "3"));
  const { version } = await change(trim(third.version - 1));
  const rows = await scan();
  expect(rows.rows.map((row) => text(row.row))).toEqual(["a"]);
  expect(shown(rows.trims)).toEqual([[third.version - 1, ""]]);
  // A reader that has version 1 does not hear that b was deleted: it hears that it must rebuild.
  const changes = await changesAfter(1);
  expect(changes.rows.map((row) => text(row.row))).toEqual(["a"]);
  expect(shown(changes.trims)).toEqual([[third.version - 1, ""]]);
  expect(changes).toMatchObject({ version, throughVersion: version, more: false });
  const some = { key, rows: [bytes("a"), bytes("c")], marks: [], level: Level.STRONG };
  const got = await cluster.kv.getRows(some);
  expect(got.rows.map((row) => text(row.value))).toEqual(["3"]);
  expect(shown(got.trims)).toEqual([[third.version - 1, ""]]);
});

test("S8: a forgotten row can be inserted again; numbers, marks and ids of appends go on", async () => {
  const mark = (from: number, to: number) => ({
    guards: [
      { guard: { case: "mark" as const, value: { name: bytes("m"), from, to, allowSkip: false } } },
    ],
    operations: [append("x"), insert("i", "first")],
  });
  await cluster.kv.change({ key, change: mark(0, 5) });
  const { version } = await change(append("y"));
  const reply = await change(trim(version));
  expect(reply.results).toMatchObject([{ existed: false, number: version }]);
  const again = await change(insert("i", "second"), append("x"), append("z"));
  expect(again.results).toMatchObject([
    { existed: false },
    { existed: true, number: 1 },
    { existed: false, number: 3 },
  ]);
  const state = await cluster.kv.getRows({
    key,
    rows: [bytes("i")],
    marks: [bytes("m")],
    level: Level.STRONG,
  });
  expect(state.marks).toEqual([5]);
  expect(state.rows.map((row) => text(row.value))).toEqual(["second"]);
  await change(trim(version, "", true));
  const renumbered = await change(append("x"), append("z"));
  expect(renumbered.results).toMatchObject([
    { existed: false, number: 4 },
    { existed: true, number: 3 },
  ]);
});

test("S8: a trim is cut to the version before its own, and says how far it went", async () => {
  const { version } = await change(upsert("a", "1"));
  const reply = await change(upsert("b", "2"), trim(1_000_000));
  expect(reply.results[1]).toMatchObject({ existed: false, number: reply.version - 1 });
  expect(reply.version).toBe(version + 1);
  expect((await scan()).rows.map((row) => text(row.row))).toEqual(["b"]);
  const again = await change(trim(version));
  expect(again.results[0]).toMatchObject({ existed: true, number: version });
});

test("S8: a trim is refused when its prefix is too long, mixes kinds, or is the ninth", async () => {
  await change(upsert("a", "1"));
  await expect(change(trim(1, "x".repeat(65)))).rejects.toThrow(/prefix of 65 bytes/);
  await expect(change(trim(1, "x", true))).rejects.toThrow(/one by one/);
  for (let i = 0; i < 8; i++) await change(trim(1, `p${i}`));
  await expect(change(upsert("b", "2"), trim(1, "p8"))).rejects.toThrow(/8 kinds of rows/);
  expect((await scan()).rows.map((row) => text(row.row))).toEqual(["a"]);
  await change(trim(1, "p"), trim(1, "q"));
  expect((await scan()).trims).toHaveLength(2);
});

test("S8: a replica that was away ends with the same rows, the trimmed ones gone", async () => {
  const away = 2;
  for (let i = 0; i < 30; i++) await change(upsert(`r${i}`, "old"));
  await expect.poll(() => heldBy(away).length).toBe(30);
  await cluster.stop(away);
  for (let i = 0; i < 30; i += 2) await change(upsert(`r${i}`, "new"));
  const { version } = await change(upsert("last", "1"), erase("r1"), trim(30));
  await cluster.start(away);
  await expect.poll(() => heldVersion(away), { timeout: 10_000 }).toBe(version);
  const expected = [...Array.from({ length: 15 }, (_, i) => `r${2 * i}`), "last", "-r1"];
  for (const replica of [0, 1, 2])
    expect(
      heldBy(replica)
        .map(([name]) => name)
        .sort(),
    ).toEqual([...expected].sort());
});

const entryAt = (replica: number) => cluster.replica(replica).replica!.state.entry(key);
const heldVersion = (replica: number) => entryAt(replica).register.heldVersion;
function heldBy(replica: number): [string, number][] {
  const { state } = cluster.replica(replica).replica!;
  return [...state.changes(entryAt(replica), 0)]
    .filter(({ row }) => row[0] === 1)
    .map(({ row, version, deleted }) => [`${deleted ? "-" : ""}${text(row.subarray(1))}`, version]);
}
