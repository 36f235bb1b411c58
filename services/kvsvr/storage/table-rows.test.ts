import { expect, test } from "vitest";
import type { EngineRow } from "./engine.ts";
import { TableRows } from "./table-rows.ts";

const row = (name: string, version: number) => ({
  row: Buffer.from(name),
  value: Buffer.from(`${name}${version}`),
  deleted: false,
  version,
});
const range = (rows: TableRows, first: string, end: string | undefined, reverse = false) =>
  rows.range({
    first: Buffer.from(first),
    end: end === undefined ? end : Buffer.from(end),
    reverse,
  });
const names = (rows: Iterable<EngineRow>) =>
  [...rows].map((r) => `${Buffer.from(r.row)}@${r.version}`);

test("waiting rows: by key, by range, and in the order of versions, each once", () => {
  const rows = new TableRows();
  for (const r of [row("b", 1), row("a", 2), row("b", 3), row("c", 3)]) rows.put(r);
  expect(rows.get(Buffer.from("b"))?.version).toBe(3);
  expect(names(rows.changes(0))).toEqual(["a@2", "b@3", "c@3"]);
  expect(names(rows.changes(2))).toEqual(["b@3", "c@3"]);
  expect(names(range(rows, "b", undefined))).toEqual(["b@3", "c@3"]);
});

test("waiting rows: what the engine has is forgotten, what came meanwhile stays", () => {
  const rows = new TableRows();
  for (const r of [row("a", 1), row("b", 2)]) rows.put(r);
  rows.put(row("a", 3));
  rows.forgetThrough(2);
  expect(names(rows.changes(0))).toEqual(["a@3"]);
  expect(names(rows.changes(0))).toEqual(["a@3"]);
  rows.forgetThrough(3);
  expect(rows.isEmpty).toBe(true);
  expect(rows.get(Buffer.from("a"))).toBeUndefined();
});

test("waiting rows: one that takes another's place is no more of them, unless the other leaves anyway", () => {
  const rows = new TableRows();
  expect([rows.put(row("a", 1)), rows.put(row("b", 1)), rows.put(row("a", 2))]).toEqual([
    ...[true, true, false],
  ]);
  rows.leaveThrough(2);
  expect([rows.put(row("a", 3)), rows.put(row("a", 4))]).toEqual([true, false]);
  rows.forgetThrough(2);
  expect(names(rows.changes(0))).toEqual(["a@4"]);
});

test("waiting rows: however often they are overwritten, each is there once, in the order of versions", () => {
  const rows = new TableRows();
  rows.put(row("z", 1));
  for (let version = 2; version <= 100; version++) rows.put(row(`r${version % 7}`, version));
  const last = [94, 95, 96, 97, 98, 99, 100].map((version) => `r${version % 7}@${version}`);
  expect(names(rows.changes(0))).toEqual(["z@1", ...last]);
  expect(names(rows.changes(97))).toEqual(last.slice(4));
  rows.forgetThrough(95);
  expect(names(rows.changes(0))).toEqual(last.slice(2));
});

test("waiting rows: a range leaves its end out and is in the order of keys", () => {
  const rows = new TableRows();
  for (const r of [row("c", 1), row("a", 2), row("d", 3), row("b", 4)]) rows.put(r);
  expect(names(range(rows, "a", "d"))).toEqual(["a@2", "b@4", "c@1"]);
  expect(names(range(rows, "b", "d", true))).toEqual(["c@1", "b@4"]);
  rows.forgetThrough(2);
  expect(names(range(rows, "a", "d"))).toEqual(["b@4"]);
  rows.put(row("a", 5));
  expect(names(range(rows, "a", undefined))).toEqual(["a@5", "b@4", "d@3"]);
});

test("waiting rows: they are copies, and deletions are rows", () => {
  const rows = new TableRows();
  const given = { ...row("a", 1), deleted: true };
  rows.put(given);
  given.row.fill(0);
  given.value.fill(0);
  const [kept] = [...rows.changes(0)];
  expect(kept).toMatchObject({ deleted: true, version: 1 });
  expect([Buffer.from(kept!.row).toString(), Buffer.from(kept!.value).toString()]).toEqual([
    "a",
    "a1",
  ]);
});

test("waiting rows: values of any size stay whole beside each other", () => {
  const rows = new TableRows();
  const sizes = [0, 1, 300, 8_192, 8_193, 70_000, 65_536, 5, 8_000, 8_000, 8_000];
  const given = Array.from({ length: 40 }, (_, i) => {
    const value = Buffer.alloc(sizes[i % sizes.length]!, i + 1);
    return { row: Buffer.from([0xff - i, i]), value, deleted: false, version: i + 1 };
  });
  for (const r of given) rows.put(r);
  const kept = [...rows.changes(0)];
  expect(kept.map((r) => Buffer.from(r.row).toString("hex"))).toEqual(
    given.map((r) => r.row.toString("hex")),
  );
  expect(kept.every((r, i) => given[i]!.value.equals(r.value))).toBe(true);
  const inOrder = rows.range({ first: Buffer.from([0xff - 3]), end: undefined, reverse: false });
  expect([...inOrder].map((r) => r.version)).toEqual([4, 3, 2, 1]);
});
