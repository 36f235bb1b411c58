import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readMonitors } from "../../svrkit/monitors/monitor.ts";
import { innerKey } from "../protocol/table.ts";
import { ROW_CLASS } from "../protocol/trim.ts";
import { flipBits, inLmdb, type LmdbTrees, namesOf } from "../testing/damaged-table.ts";
import { learnChange, TABLE } from "../testing/learned-table.ts";
import { openTestState } from "../testing/test-state.ts";
import type { EngineRow } from "./engine.ts";
import { openLmdb } from "./lmdb.ts";
import { MemoryEngine } from "./memory.ts";
import { registerKey, sealRow, versionBytes } from "./record.ts";
import type { State } from "./state.ts";

let dir = "";
let state: State;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-damaged-rows-"));
  isHeld = true;
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

let isHeld = true;
const open = async (scrubEveryMs = 0) => {
  const engine = openLmdb(join(dir, "state"));
  state = await openTestState({ engine, dir, scrubEveryMs, isHeld: () => isHeld });
};

/** Version 1: a, version 2: b and c, version 3: b again, all in the engine; then it is damaged. */
async function damaged(act: (trees: LmdbTrees) => void, scrubEveryMs = 0): Promise<void> {
  await open();
  learnChange(state, ["a"]);
  learnChange(state, ["b", "c"]);
  learnChange(state, ["b"]);
  await state.close();
  await inLmdb(dir, act);
  await open(scrubEveryMs);
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

test("S3: a row found at another replica does not go before its register: a newer one waits here", async () => {
  await damaged((trees) => flipBits(trees.rows, isRow("b")));
  expect(shown).toThrow();
  const found = await lost();
  learnChange(state, ["b"]);
  expect(await state.damagedRows.mend(entry(), found, row("b", 4))).toBe(false);
  expect(noted()).toEqual(["b"]);
  expect(isSound("b", 3)).toBe(false);
  await state.checkpoint();
  expect(isSound("b", 4)).toBe(true);
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

const SCRUB_MS = 20;
const patience = { timeout: 10_000 };
const countOf = (name: string) => readMonitors().find((m) => m.name === name)?.value ?? 0;
const changeOf = (name: string, version: number) =>
  Buffer.concat([OWN, versionBytes(version), inner(name)]);

test("S3: a scrub finds damaged rows, rows without a name, and names without a row, that nobody reads", async () => {
  await damaged(({ rows, changes }) => {
    flipBits(rows, isRow("b"));
    rows.removeSync(Buffer.concat([OWN, inner("c")]));
    changes.removeSync(changeOf("a", 1));
    // A bit of its name flipped.
    rows.putSync(Buffer.concat([OWN, inner("x")]), sealRow(row("a", 1)));
  }, SCRUB_MS);
  await expect.poll(() => noted().sort(), patience).toEqual(["a", "b", "c", "x"]);
});

test("S3: a scrub finds nothing where nothing is damaged", async () => {
  await damaged(() => {}, SCRUB_MS);
  const before = countOf("kvsvr.records_scrubbed");
  await expect.poll(() => countOf("kvsvr.records_scrubbed") - before, patience).toBeGreaterThan(30);
  expect([noted(), state.damaged.keys]).toEqual([[], []]);
});

test("S3: what is left of a slot that was moved away is not taken for damaged", async () => {
  isHeld = false;
  const before = countOf("kvsvr.records_scrubbed");
  const enough = () =>
    expect.poll(() => countOf("kvsvr.records_scrubbed") - before, patience).toBeGreaterThan(20);
  await damaged(({ rows }) => rows.removeSync(Buffer.concat([OWN, inner("c")])), SCRUB_MS);
  await enough();
  expect(noted()).toEqual([]);
  isHeld = true;
  await expect.poll(noted, patience).toEqual(["c"]);
});

/** In both trees that have it. */
const removeName = ({ registers, names }: LmdbTrees) => {
  registers.removeSync(OWN);
  names.removeSync(OWN);
};

test("S3: rows of a slot that was moved away need no register", async () => {
  isHeld = false;
  await damaged(removeName, SCRUB_MS);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(state.damaged.keys).toEqual([]);
  isHeld = true;
  await expect.poll(() => state.damaged.keys, patience).toEqual([TABLE]);
});

test("a row is of the newest version that its record or a name of its change tells", async () => {
  await damaged(({ rows }) => flipBits(rows, isRow("c")));
  const versionOf = (name: string, ...versions: number[]) =>
    state.damagedRows.versionOf(entry(), { row: inner(name), versions });
  expect([versionOf("b", 1), versionOf("b"), versionOf("c", 2), versionOf("c")]).toEqual([
    ...[3, 3, 2, 0],
  ]);
  // One of a version that the table has not come to is wrong.
  expect([versionOf("b", 99), versionOf("c", 99)]).toEqual([3, 0]);
});

test("S3: a scrub finds a damaged register, and one that is lost with its name by its rows", async () => {
  await damaged(({ registers }) => flipBits(registers, (name) => name.equals(OWN)), SCRUB_MS);
  await expect.poll(() => state.damaged.keys, patience).toEqual([TABLE]);
  await state.close();
  await inLmdb(dir, removeName);
  await open(SCRUB_MS);
  await expect.poll(() => state.damaged.keys, patience).toEqual([TABLE]);
  expect(() => state.entry(TABLE)).toThrow("a register is damaged here");
});

test("S3: what memory has of a register that is lost with its name is written again", async () => {
  const engine = new MemoryEngine();
  state = await openTestState({ engine, dir, scrubEveryMs: SCRUB_MS });
  learnChange(state, ["a"]);
  await state.checkpoint();
  const nothing = { registerKey: OWN, register: undefined, rows: [], forgotten: [] };
  await engine.commit([{ ...nothing, removed: true }]);
  const before = countOf("kvsvr.records_scrubbed");
  await expect.poll(() => countOf("kvsvr.records_scrubbed") - before, patience).toBeGreaterThan(10);
  expect(state.damaged.keys).toEqual([]);
  await state.checkpoint();
  expect(engine.register(OWN)).toBeDefined();
});

test("S3: names that are no key's are counted", async () => {
  const before = countOf("kvsvr.wrong_names");
  await damaged(({ registers }) => {
    const wrong = Buffer.from(OWN);
    wrong[wrong.length - 1]! ^= 1;
    registers.putSync(wrong, registers.get(OWN)!);
  }, SCRUB_MS);
  await expect.poll(() => countOf("kvsvr.wrong_names") - before, patience).toBeGreaterThan(0);
  expect(state.damaged.keys).toEqual([]);
});
