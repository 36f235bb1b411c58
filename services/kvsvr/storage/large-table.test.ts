/** A table with more rows in memory than one commit of the engine takes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CHECKPOINT_CHUNK } from "../limits.ts";
import { learnChange, TABLE } from "../testing/learned-table.ts";
import { openTestState } from "../testing/test-state.ts";
import type { EngineEntry } from "./engine.ts";
import { MemoryEngine } from "./memory.ts";
import { registerKey } from "./record.ts";
import type { State } from "./state.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-large-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Counts the rows of every commit; fails from some commit on. */
class CountingEngine extends MemoryEngine {
  readonly commits: number[] = [];
  left = Number.POSITIVE_INFINITY;
  /** The newest version of a row that came before its table's register. */
  ahead = 0;
  onCommit = () => {};

  override commit(entries: readonly EngineEntry[]): Promise<void> {
    if (this.left <= 0) return Promise.reject(new Error("the disk fails"));
    this.left -= 1;
    this.commits.push(entries.reduce((sum, entry) => sum + entry.rows.length, 0));
    for (const { register, rows } of entries)
      if (register === undefined) this.ahead = Math.max(this.ahead, ...rows.map((r) => r.version));
    this.onCommit();
    return super.commit(entries);
  }
}

function openState(engine: MemoryEngine): Promise<State> {
  return openTestState({ engine, dir });
}

const ROWS_PER_VERSION = 40;
const VERSIONS = 60;

function fill(state: State): void {
  for (let v = 0; v < VERSIONS; v++)
    learnChange(
      state,
      // Every version also overwrites a row of the one before.
      Array.from({ length: ROWS_PER_VERSION }, (_, i) => `r${v * (ROWS_PER_VERSION - 1) + i}`),
    );
}

/** In the order of names: within a version memory and engine have orders of their own. */
const shown = (state: State) =>
  [...state.changes(state.entry(TABLE), 0)]
    .map((row) => `${Buffer.from(row.row.subarray(1))}@${row.version} ${Buffer.from(row.value)}`)
    .sort();

test("large table: it reaches the engine in commits of bounded size, its register last", async () => {
  const engine = new CountingEngine();
  const state = await openState(engine);
  fill(state);
  const before = shown(state);
  await state.close();
  expect(engine.commits.length).toBeGreaterThan(3);
  expect(Math.max(...engine.commits)).toBeLessThan(CHECKPOINT_CHUNK + ROWS_PER_VERSION);
  const again = await openState(engine);
  expect(shown(again)).toEqual(before);
  await again.close();
});

test("large table: killed between two of its commits, a replica comes back with all of it", async () => {
  const engine = new CountingEngine();
  const state = await openState(engine);
  fill(state);
  const before = shown(state);
  engine.left = 2;
  await state.close();
  expect(engine.commits).toHaveLength(2);
  expect(engine.register(registerKey(TABLE))).toBeUndefined();
  engine.left = Number.POSITIVE_INFINITY;
  const again = await openState(engine);
  expect(shown(again)).toEqual(before);
  expect(again.entry(TABLE).register.heldVersion).toBe(VERSIONS);
  await again.close();
});

test("large table: rows that come while it is written wait for their records to be on the disk", async () => {
  const engine = new CountingEngine();
  const state = await openState(engine);
  fill(state);
  engine.onCommit = () => {
    engine.onCommit = () => {};
    fill(state);
  };
  await state.close();
  expect(engine.ahead).toBeGreaterThan(0);
  expect(engine.ahead).toBeLessThan(VERSIONS);
});
