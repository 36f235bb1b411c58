/**
 * The simulation by hand:
 *
 *   node sim/main.ts --seeds 200            seeds 1 to 200, on all cores
 *   node sim/main.ts --seed 17              one seed, with its story
 *   node sim/main.ts --seed 17 --history f  and its history, one operation a line
 *   node sim/main.ts --bugs                 looks for seeds that catch the planted bugs
 *   node sim/main.ts --bugs --bug NAME      for one of them; the others' seeds stay
 */
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { BUGS } from "../services/kvsvr/protocol/planted.ts";
import { wholeNumber } from "./arguments.ts";
import { BUG_SEEDS_FILE, findSeed, SEARCH_SEEDS } from "./bugs.ts";
import { emptySummary, merge, type Summary, tellSeed } from "./campaign.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    seed: { type: "string" },
    history: { type: "string" },
    bugs: { type: "boolean", default: false },
    bug: { type: "string" },
  },
});

const first = wholeNumber("--seed", values.seed ?? "1");
if (values.bugs) await searchBugs();
else if (values.seeds === undefined) await tell(first);
else await runCampaign(first, wholeNumber("--seeds", values.seeds));

async function tell(seed: number): Promise<void> {
  const { lines, history } = await tellSeed(seed);
  for (const line of lines) console.log(line);
  if (values.history !== undefined) writeFileSync(values.history, history);
  const isBroken = lines.some((line) => line.startsWith("BROKEN"));
  console.log(`seed ${seed}: ${isBroken ? "broken" : "no promise broken"}`);
  if (isBroken) process.exitCode = 1;
}

async function runCampaign(first: number, seeds: number): Promise<void> {
  const startedMs = performance.now();
  const summary = emptySummary();
  const step = Math.min(seeds, availableParallelism());
  const shares = Array.from({ length: step }, (_, i) => {
    return share({ first: first + i, end: first + seeds, step }, summary);
  });
  await Promise.all(shares);
  print(summary, (performance.now() - startedMs) / 1_000);
}

function share(
  seeds: { first: number; end: number; step: number },
  summary: Summary,
): Promise<void> {
  const worker = new Worker(new URL("./seeds-worker.ts", import.meta.url), { workerData: seeds });
  return new Promise((resolve, reject) => {
    worker.on("message", (part: Summary) => {
      merge(summary, part);
      for (const { seed, violations } of part.broken) printBroken(seed, violations);
    });
    worker.on("error", reject);
    worker.on("exit", () => resolve());
  });
}

function printBroken(seed: number, violations: readonly string[]): void {
  console.log(`seed ${seed} broke a promise; replay it with: make sim SEED=${seed}`);
  for (const violation of violations.slice(0, 3)) console.log(`  ${violation.slice(0, 300)}`);
}

function print(summary: Summary, seconds: number): void {
  const { seeds, operations, faults, broken } = summary;
  const rate = Math.round(operations / seconds);
  const speed = Math.round((seeds * 30) / seconds);
  console.log(
    `faults: ${Object.keys(faults)
      .sort()
      .map((kind) => `${kind} ${faults[kind]}`)
      .join(", ")}`,
  );
  const took = `${seconds.toFixed(1)} s, ${speed} x real time`;
  console.log(
    `${seeds} seeds, ${broken.length} broken; ${operations} operations, ${rate}/s; ${took}`,
  );
  if (broken.length > 0) process.exitCode = 1;
}

async function searchBugs(): Promise<void> {
  const bugs = BUGS.filter((bug) => values.bug === undefined || bug === values.bug);
  if (bugs.length === 0) throw new Error(`there is no bug "${values.bug}": there are ${BUGS}`);
  for (const bug of bugs) {
    const before = recordedSeeds()[bug] ?? 1;
    const caught = (await findSeed(bug, before, before)) ?? (await findSeed(bug, 1));
    if (caught === undefined) {
      console.log(`${bug}: not caught within ${SEARCH_SEEDS} seeds`);
      process.exitCode = 1;
      continue;
    }
    const { seed, checkers, message } = caught;
    const seeds = { ...recordedSeeds(), [bug]: seed };
    writeFileSync(BUG_SEEDS_FILE, `${JSON.stringify(seeds, null, 2)}\n`);
    console.log(`${bug}: seed ${seed}, by ${checkers.join(", ")}: ${message.slice(0, 200)}`);
  }
}

/** Read anew each time: several processes may look for a bug each. */
function recordedSeeds(): Record<string, number> {
  return JSON.parse(readFileSync(BUG_SEEDS_FILE, "utf8")) as Record<string, number>;
}
