/** Promises 1 and 2 with real processes, and that a store which breaks them is caught. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkHistory } from "../sim/checkers/all.ts";
import { isOperation, parseHistory } from "../sim/history.ts";
import { FAULTS, type Fault } from "./faults.ts";
import { torture } from "./run.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tricampus-torture-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function shortly(kinds: readonly Fault[], pauseMs: readonly [number, number] = [100, 300]) {
  const faults = { kinds, deals: 1, forMs: 0, lastsMs: [100, 500], pauseMs } as const;
  const clients = { clientProcesses: 2, clientsPerProcess: 6 };
  return { root, seed: 1, syncMs: 4, patienceMs: 10_000, faults, ...clients };
}

test("torture: each fault once, and no promise is broken", async () => {
  const { violations, faults, figures, historyPath, unsynced } = await torture(shortly(FAULTS));
  expect(violations).toEqual([]);
  expect(faults).toEqual(Object.fromEntries(FAULTS.map((fault) => [fault, 1])));
  expect(unsynced).toBeGreaterThan(0);
  expect(figures.operations).toBeGreaterThan(300);
  const history = parseHistory(readFileSync(historyPath, "utf8"));
  expect(history.filter(isOperation)).toHaveLength(figures.operations);
  expect(checkHistory(history)).toEqual([]);
}, 120_000);

test("torture: a store that answers before its log is synced is caught by a power cut", async () => {
  const cut = shortly(["powerAll"], [900, 1_000]);
  const slow = { syncMs: 200, patienceMs: 500 };
  const { violations } = await torture({ ...cut, ...slow, bug: "answer-before-sync" });
  const checkers = violations.map(({ checker }) => checker);
  expect(checkers).toEqual(
    expect.arrayContaining([expect.stringMatching(/^(?:durable|keys|tables)$/)]),
  );
}, 120_000);
