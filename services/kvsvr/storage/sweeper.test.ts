import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SWEEP_CHUNK } from "../limits.ts";
import { innerKey } from "../protocol/table.ts";
import { ROW_CLASS } from "../protocol/trim.ts";
import { learnChange, TABLE } from "../testing/learned-table.ts";
import { openTestState } from "../testing/test-state.ts";
import type { EngineEntry, EngineRow } from "./engine.ts";
import { MemoryEngine } from "./memory.ts";
import { registerKey } from "./record.ts";
import type { State } from "./state.ts";

let dir = "";
const open: State[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-sweep-"));
});
afterEach(async () => {
  for (const state of open.splice(0)) await state.close().catch(() => {});
  rmSync(dir, { recursive: true, force: true });
});

/** The last one opened is alive; those before it were killed. */
async function openState(engine: MemoryEngine): Promise<State> {
  const state = await openTestState({ engine, dir });
  open.push(state);
  return state;
}

const place = registerKey(TABLE);

const named = (rows: Iterable<{ row: Uint8Array; version: number }>) =>
  [...rows].map((row) => `${Buffer.from(row.row.subarray(1))}@${row.version}`);
const shown = (state: State) => named(state.changes(state.entry(TABLE), 0));
const stored = (engine: MemoryEngine) => named(engine.changes(place, 0));
function scanned(state: State, reverse = false): string[] {
  const rows: EngineRow[] = [];
  const range = { first: Buffer.from([1]), end: undefined, reverse };
  const take = (row: EngineRow) => rows.push(row) > 0;
  state.lookAtRows(state.entry(TABLE), { range, most: 1_000, take });
  return named(rows);
}

test("sweeper: forgotten rows are hidden at once, and gone from the engine soon", async () => {
  const engine = new MemoryEngine();
  const before = await openState(engine);
  learnChange(before, ["a", "b"]);
  learnChange(before, ["-b", "c"]);
  learnChange(before, ["a"]);
  await before.close();
  open.pop();
  const state = await openState(engine);
  learnChange(state, ["d"], 2);
  expect(shown(state)).toEqual(["a@3", "d@4"]);
  expect(scanned(state)).toEqual(["a@3", "d@4"]);
  expect(scanned(state, true)).toEqual(["d@4", "a@3"]);
  const entry = state.entry(TABLE);
  expect(state.row(entry, innerKey(ROW_CLASS.row, Buffer.from("c")))).toBeUndefined();
  expect(stored(engine)).toEqual(["b@2", "c@2", "a@3"]);
  await expect.poll(() => stored(engine), { timeout: 5_000 }).toEqual(["a@3", "d@4"]);
});

test("sweeper: what waits in memory is forgotten without ever reaching the engine", async () => {
  const engine = new MemoryEngine();
  const state = await openState(engine);
  learnChange(state, ["a", "b"]);
  learnChange(state, ["c"], 1);
  expect(shown(state)).toEqual(["c@2"]);
  const seen = new Set<string>();
  const commit = engine.commit.bind(engine);
  engine.commit = (entries) => {
    for (const entry of entries) for (const name of named(entry.rows)) seen.add(name);
    return commit(entries);
  };
  await state.close();
  open.pop();
  expect([...seen]).toEqual(["c@2"]);
});

test("sweeper: a row written anew while the sweep goes on stays", async () => {
  const engine = new MemoryEngine();
  const before = await openState(engine);
  learnChange(before, ["a", "b"]);
  await before.close();
  open.pop();
  const state = await openState(engine);
  learnChange(state, [], 1);
  learnChange(state, ["a"]);
  expect(shown(state)).toEqual(["a@3"]);
  await expect.poll(() => stored(engine), { timeout: 5_000 }).toEqual(["a@3"]);
});

/** Its disk fails after so many commits, until it is repaired. */
class FailingEngine extends MemoryEngine {
  left = Number.POSITIVE_INFINITY;

  override commit(entries: readonly EngineEntry[]): Promise<void> {
    if (this.left <= 0) return Promise.reject(new Error("the disk fails"));
    this.left -= 1;
    return super.commit(entries);
  }
}

test("sweeper: a sweep cut short goes on after the next start", async () => {
  const engine = new FailingEngine();
  const first = await openState(engine);
  for (let i = 0; i < 3 * SWEEP_CHUNK; i++) learnChange(first, [`r${i}`]);
  await first.close();
  open.pop();
  const failing = await openState(engine);
  engine.left = 1;
  learnChange(failing, ["last"], 3 * SWEEP_CHUNK - 1);
  const kept = [`r${3 * SWEEP_CHUNK - 1}@${3 * SWEEP_CHUNK}`, `last@${3 * SWEEP_CHUNK + 1}`];
  await failing.durable(failing.entry(TABLE).logged);
  await expect
    .poll(() => stored(engine).length, { timeout: 5_000 })
    .toBeLessThan(2.5 * SWEEP_CHUNK);
  expect(shown(failing)).toEqual(kept);
  expect(stored(engine).length).toBeGreaterThan(SWEEP_CHUNK);
  engine.left = Number.POSITIVE_INFINITY;
  const state = await openState(engine);
  expect(shown(state)).toEqual(kept);
  await expect.poll(() => stored(engine), { timeout: 5_000 }).toEqual(kept);
});
