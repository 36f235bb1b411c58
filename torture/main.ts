/**
 * The store under torture, in real processes:
 *
 *   node torture/main.ts [--minutes 2] [--seed 1] [--dir DIR]   exit code 1 when a promise is broken
 *   node torture/main.ts --bug NAME                             with a planted bug: one has to be
 *   node torture/main.ts --check FILE                           checks a history again
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { BUGS, type Bug } from "../services/kvsvr/protocol/planted.ts";
import { checkHistory } from "../sim/checkers/all.ts";
import type { Violation } from "../sim/checkers/violation.ts";
import { parseHistory } from "../sim/history.ts";
import { FAULTS } from "./faults.ts";
import { type TortureOutcome, torture } from "./run.ts";

/** A disk of the ordinary sort. */
const SYNC_MS = 4;
const PATIENCE_MS = 10_000;
const VIOLATIONS_SHOWN = 10;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "2" },
    seed: { type: "string" },
    dir: { type: "string" },
    bug: { type: "string" },
    check: { type: "string" },
  },
});

if (values.check !== undefined) check(values.check);
else {
  await run();
  // Node's own end waits for writes that were open when the links were cut: seen to spin for ever.
  process.exit();
}

function check(path: string): void {
  const lines = parseHistory(readFileSync(path, "utf8"));
  tellVerdict(checkHistory(lines), `${lines.length} lines`);
}

async function run(): Promise<void> {
  const minutes = Number(values.minutes);
  if (!(minutes > 0)) throw new Error(`--minutes ${values.minutes}: a number above 0 is needed`);
  const bug = BUGS.find((name) => name === values.bug);
  if (bug === undefined && values.bug !== undefined)
    throw new Error(`there is no bug "${values.bug}": there are ${BUGS.join(", ")}`);
  const seed = Number(values.seed ?? 1 + Math.floor(Math.random() * 1_000_000));
  if (values.dir !== undefined) mkdirSync(values.dir, { recursive: true });
  const root = values.dir ?? mkdtempSync(join(tmpdir(), "tricampus-torture-"));
  console.log(`torture: seed ${seed}, ${minutes} min, in ${root}`);
  const outcome = await torture({ ...settingsFor(minutes, bug), seed, root, say: console.log });
  tell(outcome);
  if (outcome.violations.length === 0 && values.dir === undefined)
    rmSync(root, { recursive: true, force: true });
  else console.log(`history, logs and disks are kept in ${root}`);
}

function settingsFor(minutes: number, bug: Bug | undefined) {
  return {
    bug,
    syncMs: SYNC_MS,
    patienceMs: PATIENCE_MS,
    faults: {
      kinds: FAULTS,
      deals: 1,
      forMs: minutes * 60_000,
      lastsMs: [200, 6_000],
      pauseMs: [200, 2_500],
    },
    clientProcesses: 3,
    clientsPerProcess: 6,
  } as const;
}

function tell({ faults, unsynced, figures, violations }: TortureOutcome): void {
  console.log(`faults: ${listed(faults)}; ${unsynced} bytes lost their power before a sync`);
  console.log(`failures: ${listed(figures.failures)}`);
  console.log(`failures with one replica gone: ${listed(figures.failuresAtOne)}`);
  const worst = Object.entries(figures.worstMs).map(([fault, ms]) => [
    fault,
    `${ms.toFixed(0)} ms`,
  ]);
  console.log(`worst latency: ${listed(Object.fromEntries(worst))}`);
  tellVerdict(violations, `${figures.operations} operations, ${figures.perSecond}/s`);
}

function listed(named: Readonly<Record<string, unknown>>): string {
  const entries = Object.entries(named).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? "none" : entries.map(([name, n]) => `${name} ${n}`).join(", ");
}

function tellVerdict(violations: readonly Violation[], what: string): void {
  for (const { checker, key, message } of violations.slice(0, VIOLATIONS_SHOWN))
    console.log(`BROKEN ${checker}: ${key === "" ? "" : `${key}: `}${message.slice(0, 400)}`);
  const verdict =
    violations.length === 0 ? "no promise broken" : `${violations.length} findings of the checkers`;
  console.log(`${what}: ${verdict}`);
  if (violations.length > 0) process.exitCode = 1;
}
