/**
 * The simulation of messages by hand:
 *
 *   node sim/messages/main.ts --seeds 100    seeds 1 to 100, on all cores
 *   node sim/messages/main.ts --seed 17      one seed, with its story
 *   node sim/messages/main.ts --bugs         looks for seeds that catch the planted bugs, and records them
 *   node sim/messages/main.ts --bugs --bug NAME      for one of them; the others' seeds stay
 */
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { MESSAGE_BUGS } from "../../services/svrkit/planted.ts";
import { wholeNumber } from "../arguments.ts";
import { BUG_SEEDS_FILE, findSeed } from "./bugs.ts";
import { type MessageOutcome, runMessages } from "./run.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    seed: { type: "string" },
    bugs: { type: "boolean", default: false },
    bug: { type: "string" },
  },
});

const first = wholeNumber("--seed", values.seed ?? "1");
if (values.bugs) await searchBugs();
else if (values.seeds === undefined) await tell(first);
else await runCampaign(first, wholeNumber("--seeds", values.seeds));

async function tell(seed: number): Promise<void> {
  const outcome = await runMessages(seed);
  for (const line of outcome.story) console.log(line);
  printBroken(outcome);
  const { schedules, sends, acked } = outcome;
  console.log(`seed ${seed}: ${schedules} schedules, ${sends} sends, ${acked} acknowledged`);
}

function printBroken({ seed, violations }: MessageOutcome): void {
  if (violations.length === 0) return;
  process.exitCode = 1;
  console.log(`seed ${seed} broke a promise; replay it with: make sim-messages SEED=${seed}`);
  for (const { checker, key, message } of violations.slice(0, 5))
    console.log(`  ${checker}: ${key}: ${message.slice(0, 300)}`);
}

async function runCampaign(first: number, seeds: number): Promise<void> {
  const startedMs = performance.now();
  const outcomes: MessageOutcome[] = [];
  const step = Math.min(seeds, availableParallelism());
  const shares = Array.from({ length: step }, (_, i) =>
    share({ first: first + i, end: first + seeds, step }, (outcome) => {
      outcomes.push(outcome);
      printBroken(outcome);
    }),
  );
  await Promise.all(shares);
  const seconds = (performance.now() - startedMs) / 1_000;
  const total = (of: (outcome: MessageOutcome) => number) =>
    outcomes.reduce((sum, outcome) => sum + of(outcome), 0);
  const faults: Record<string, number> = {};
  for (const outcome of outcomes)
    for (const [kind, count] of Object.entries(outcome.faults))
      faults[kind] = (faults[kind] ?? 0) + count;
  const kinds = Object.keys(faults).toSorted();
  console.log(`faults: ${kinds.map((kind) => `${kind} ${faults[kind]}`).join(", ")}`);
  const broken = outcomes.filter(({ violations }) => violations.length > 0).length;
  const sends = `${total(({ sends: n }) => n)} sends, ${total(({ acked }) => acked)} acknowledged`;
  const schedules = total((outcome) => outcome.schedules);
  console.log(
    `${schedules} schedules in ${seeds} seeds, ${broken} broken; ${sends}; ${seconds.toFixed(1)} s`,
  );
}

function share(
  seeds: { first: number; end: number; step: number },
  done: (outcome: MessageOutcome) => void,
): Promise<void> {
  const worker = new Worker(new URL("./seeds-worker.ts", import.meta.url), { workerData: seeds });
  return new Promise((resolve, reject) => {
    worker.on("message", done);
    worker.on("error", reject);
    worker.on("exit", () => resolve());
  });
}

async function searchBugs(): Promise<void> {
  for (const bug of MESSAGE_BUGS.filter((name) => (values.bug ?? name) === name)) {
    const known = JSON.parse(readFileSync(BUG_SEEDS_FILE, "utf8")) as Record<string, number>;
    const caught = await findSeed(bug, known[bug] ?? 1);
    if (caught === undefined) {
      console.log(`${bug}: not caught`);
      process.exitCode = 1;
      continue;
    }
    known[bug] = caught.seed;
    console.log(`${bug}: seed ${caught.seed}, by ${caught.checkers.join(", ")}: ${caught.message}`);
    writeFileSync(BUG_SEEDS_FILE, `${JSON.stringify(known, null, 2)}\n`);
  }
}
