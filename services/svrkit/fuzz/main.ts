/**
 * Runs the fuzzers, one after the other, until time is over:
 *
 *   node services/svrkit/fuzz/main.ts [--seconds 60] [--only frames] [--seed 1] [--round 17]
 *
 * `--round` repeats one round of one fuzzer.
 */
import { parseArgs } from "node:util";
import { FUZZERS, runRounds } from "./fuzzers.ts";

const ROUNDS_AT_ONCE = 200;
/** Rounds that one seed never reaches, so that different seeds are different rounds. */
const ROUNDS_A_SEED = 1_000_000_000;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    only: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    round: { type: "string" },
  },
});

const names = values.only === undefined ? Object.keys(FUZZERS) : [values.only];
try {
  if (values.round !== undefined) await runRounds(names[0]!, Number(values.round), 1);
  else for (const name of names) await runFor(name, Number(values.seconds) / names.length);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}

async function runFor(name: string, seconds: number): Promise<void> {
  const endMs = performance.now() + 1_000 * seconds;
  const first = Number(values.seed) * ROUNDS_A_SEED;
  let rounds = 0;
  for (; performance.now() < endMs; rounds += ROUNDS_AT_ONCE)
    await runRounds(name, first + rounds, ROUNDS_AT_ONCE);
  process.stdout.write(
    `${name.padEnd(10)} ${rounds} rounds, nothing found (seed ${values.seed})\n`,
  );
}
