import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SCAN_LOOKED_ROWS } from "./limits.ts";
import { pageOfChanges, pageOfRows } from "./pages.ts";
import type { RowRange } from "./storage/engine.ts";
import { MemoryEngine } from "./storage/memory.ts";
import type { State } from "./storage/state.ts";
import { learnChange, TABLE } from "./testing/learned-table.ts";
import { openTestState } from "./testing/test-state.ts";

let dir = "";
let state: State;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-pages-"));
  state = await openTestState({ engine: new MemoryEngine(), dir });
});
afterEach(async () => {
  await state.close();
  rmSync(dir, { recursive: true, force: true });
});

const FORGOTTEN = 3 * SCAN_LOOKED_ROWS;
const name = (i: number) => `r${String(i).padStart(6, "0")}`;

/** Many rows that are forgotten or deleted, and few behind them. */
function fill(): void {
  for (let i = 0; i < FORGOTTEN; i += 100)
    learnChange(
      state,
      Array.from({ length: 100 }, (_, n) => name(i + n)),
    );
  learnChange(state, [], FORGOTTEN / 100 - 1);
  learnChange(
    state,
    Array.from({ length: 100 }, (_, n) => `-${name(FORGOTTEN - 100 + n)}`),
  );
  learnChange(state, ["x1", "x2", "x3"]);
}

/** Counts the turns of the event loop while something runs. */
async function turnsDuring<T>(run: () => Promise<T>, each = () => {}): Promise<[T, number]> {
  let turns = 0;
  let isOver = false;
  const next = () => {
    if (isOver) return;
    turns += 1;
    each();
    setImmediate(next);
  };
  setImmediate(next);
  const result = await run();
  isOver = true;
  return [result, turns];
}

const range = { first: Buffer.from([1]), end: Buffer.from([2]), reverse: false };
const rowsOf = (limit: number, reverse = false) =>
  pageOfRows(state, state.entry(TABLE), { range: { ...range, reverse }, limit });
const names = ({ rows }: { rows: { row: Uint8Array }[] }) =>
  rows.map(({ row }) => Buffer.from(row).toString());

test("pages: what is forgotten is passed over in turns, and the page is whole", async () => {
  fill();
  const [page, turns] = await turnsDuring(() => rowsOf(2));
  expect(names(page)).toEqual(["x1", "x2"]);
  expect(page.more).toBe(true);
  expect(turns).toBeGreaterThan(2);
  const [all] = await turnsDuring(() => rowsOf(3));
  expect([names(all), all.more]).toEqual([["x1", "x2", "x3"], false]);
  expect(names(await rowsOf(10, true))).toEqual(["x3", "x2", "x1"]);
});

test("pages: a page of changes passes over them in turns, whole versions only", async () => {
  fill();
  const changes = (limit: number) => pageOfChanges(state, state.entry(TABLE), { after: 0, limit });
  const [page, turns] = await turnsDuring(() => changes(50));
  expect(page.rows).toHaveLength(100);
  expect(page.rows.every((row) => row.deleted)).toBe(true);
  expect(page.more).toBe(true);
  expect(turns).toBeGreaterThan(2);
  expect(names(await changes(1_000)).slice(-3)).toEqual(["x1", "x2", "x3"]);
});

test("pages: a table that changes meanwhile is shown as it is then, not half of each", async () => {
  fill();
  let isFirst = true;
  const change = () => {
    if (isFirst) learnChange(state, ["a", "-x1"]);
    isFirst = false;
  };
  const [page] = await turnsDuring(() => rowsOf(10), change);
  expect(names(page)).toEqual(["a", "x2", "x3"]);
  expect(page.register.heldVersion).toBe(state.entry(TABLE).register.heldVersion);
});

test("pages: a table that changes in every turn is shown all the same", async () => {
  fill();
  let turn = 0;
  const change = () => {
    turn += 1;
    learnChange(state, [`x${3 + turn}`, `-x${2 + turn}`]);
  };
  const [page] = await turnsDuring(() => rowsOf(10), change);
  expect(names(page)).toHaveLength(3);
  expect(page.register.heldVersion).toBeGreaterThan(FORGOTTEN / 100 + 3);
});

test("pages: looked at row by row, every row is offered once, both ways", () => {
  learnChange(state, ["a", "b", "c", "d"]);
  learnChange(state, ["-b", "e"]);
  for (const reverse of [false, true]) {
    const seen: string[] = [];
    const take = ({ row }: { row: Uint8Array }) =>
      seen.push(Buffer.from(row.subarray(1)).toString()) > 0;
    let rest: RowRange | undefined = { ...range, reverse };
    while (rest !== undefined)
      rest = state.lookAtRows(state.entry(TABLE), { range: rest, most: 1, take });
    expect(seen.sort()).toEqual(["a", "c", "d", "e"]);
  }
});

test("pages: those that many callers ask for in one moment leave turns to others, and all come", async () => {
  fill();
  const ask = () => Promise.all(Array.from({ length: 300 }, () => rowsOf(1_000)));
  const [all, turns] = await turnsDuring(ask);
  const [{ register }] = all as [Awaited<ReturnType<typeof rowsOf>>];
  for (const page of all) expect(page).toMatchObject({ register, more: false });
  // Without turns for them there are three.
  expect(turns).toBeGreaterThan(10);
});
