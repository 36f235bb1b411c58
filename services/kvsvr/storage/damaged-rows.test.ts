import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { innerKey } from "../protocol/table.ts";
import { ROW_CLASS } from "../protocol/trim.ts";
import { flipBits, inLmdb, type LmdbTrees, namesOf } from "../testing/damaged-table.ts";
import { learnChange, TABLE } from "../testing/learned-table.ts";
import { openTestState } from "../testing/test-state.ts";
import type { EngineRow } from "./engine.ts";
import { openLmdb } from "./lmdb.ts";
import { registerKey } from "./record.ts";
import type { State } from "./state.ts";

let dir = "";
let state: State;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-damaged-rows-"));
});
afterEach(async () => {
  await state.close();
  rmSync(dir, { recursive: true, force: true });
});

const OWN = registerKey(TABLE);
const inner = (name: string) => Buffer.from(innerKey(ROW_CLASS.row, Buffer.from(name)));
const isRow = (name: string) => (place: Buffer) => place.equals(Buffer.concat([OWN, inner(name)]));
const row = (name: string, version: number): EngineRow => ({
  row: inner(name),
  value: Buffer.from(`${name} of ${version}`),
  version,
  deleted: false,
});

const open = async () => {
  state = await openTestState({ engine: openLmdb(join(dir, "state")), dir });
};

/** Version 1: a, version 2: b and c, version 3: b again, all in the engine; then it is damaged. */
async function damaged(act: (trees: LmdbTrees) => void): Promise<void> {
  await open();
  learnChange(state, ["a"]);
  learnChange(state, ["b", "c"]);
  learnChange(state, ["b"]);
  await state.close();
  await inLmdb(dir, act);
  await open();
}

const entry = () => state.entry(TABLE);
const noted = () =>
  state.damagedRows.tables.flatMap(({ rows }) => rows.map((one) => one.subarray(1).toString()));
const shown = () =>
  [...state.changes(entry(), 0)].map((one) => `${Buffer.from(one.row.subarray(1))}@${one.version}`);
const lost = async () => (await state.damagedRows.lostRows(state.damagedRows.tables[0]!))[0]!;
const isSound = (name: string, ...versions: number[]) =>
  state.damagedRows.isSound(OWN, { row: inner(name), versions });

test.each<[string, () => unknown]>([
  ["a look-up", () => state.row(entry(), inner("b"))],
  ["changes", () => shown()],
  [
    "a page of rows",
    () =>
      state.lookAtRows(entry(), {
        range: { first: Buffer.from([1]), end: undefined, reverse: false },
        most: 10,
        take: () => true,
      }),
  ],
  [
    "a page of changes",
    () => state.lookAtChanges(entry(), { after: 2, most: 10, take: () => true }),
  ],
])("S3: a damaged row is noted by whatever meets it, and not served (%s)", async (_, read) => {
  await damaged((trees) => expect(flipBits(trees.rows, isRow("b"))).toBe(1));
  expect(noted()).toEqual([]);
  let found = 0;
  state.damagedRows.onFound = () => {
    found += 1;
  };
  expect(read).toThrow("a row is damaged here");
  expect(read).toThrow("ask another replica");
  expect([noted(), found]).toEqual([["b"], 1]);
  expect(state.row(entry(), inner("c"))?.version).toBe(2);
  expect((await lost()).versions).toEqual([3]);
});

test("S3: a mended row is what it was, after a start, too", async () => {
  await damaged((trees) => flipBits(trees.rows, isRow("b")));
  expect(shown).toThrow();
  await state.damagedRows.mend(entry(), await lost(), row("b", 3));
  expect(shown()).toEqual(["a@1", "c@2", "b@3"]);
  expect(noted()).toEqual([]);
  await state.close();
  await open();
  expect(Buffer.from(state.row(entry(), inner("b"))!.value).toString()).toBe("b of 3");
});

test("S3: what was written over a damaged row meanwhile stays", async () => {
  await damaged((trees) => flipBits(trees.rows, isRow("b")));
  expect(shown).toThrow();
  const found = await lost();
  learnChange(state, ["b"]);
  const mended = state.damagedRows.mend(entry(), found, row("b", 3));
  await state.checkpoint();
  await mended;
  expect(shown()).toEqual(["a@1", "c@2", "b@4"]);
  learnChange(state, ["b"]);
  await state.checkpoint();
  expect(isSound("b", 3)).toBe(true);
  await state.damagedRows.mend(entry(), found, row("b", 3));
  expect(shown()).toEqual(["a@1", "c@2", "b@5"]);
});

test("S8: a row that was forgotten before it could be mended does not come back", async () => {
  await damaged((trees) => flipBits(trees.rows, isRow("c")));
  expect(shown).toThrow();
  const found = await lost();
  learnChange(state, [], 2);
  await state.damagedRows.mend(entry(), found, row("c", 2));
  expect(shown()).toEqual(["b@3"]);
  await state.close();
  await inLmdb(dir, ({ rows, changes }) => {
    expect(namesOf(rows).some(isRow("c"))).toBe(false);
    expect(namesOf(changes).some((name) => name.subarray(-2).equals(inner("c")))).toBe(false);
  });
  await open();
});

test("S3: a record without a name, and a name without a record, are not sound", async () => {
  await damaged(({ rows, changes }) => {
    rows.removeSync(Buffer.concat([OWN, inner("a")]));
    for (const name of namesOf(changes).filter((one) => one.subarray(-2).equals(inner("c"))))
      changes.removeSync(name);
  });
  expect([isSound("a", 1), isSound("b", 3), isSound("c"), isSound("x")]).toEqual([
    ...[false, true, false, true],
  ]);
  expect(shown).toThrow("a row is damaged here");
  expect(noted()).toEqual(["a"]);
  expect((await lost()).versions).toEqual([1]);
});

test("S3: rows of slots that are gone are not waited for", async () => {
  await damaged((trees) => flipBits(trees.rows, isRow("b")));
  expect(shown).toThrow();
  const slot = OWN.readUInt16BE(1);
  await state.removeSlice({ keyspace: OWN[0]!, first: slot, last: slot });
  expect(state.damagedRows.isEmpty).toBe(true);
});
