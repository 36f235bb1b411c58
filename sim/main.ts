/** `node sim/main.ts --seeds n --seed first`: runs seeds, prints what happened and what broke. */

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { formatHistory } from "./history.ts";
import { DEFAULT_OPTIONS } from "./options.ts";
import { run } from "./run.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
    history: { type: "string" },
  },
});
const first = Number(values.seed);
const started = performance.now();
const totals: Record<string, number> = {};
let operations = 0;
let tasks = 0;
let broken = 0;
for (let seed = first; seed < first + Number(values.seeds); seed++) {
  const outcome = await run(seed, DEFAULT_OPTIONS);
  operations += outcome.operations;
  tasks += outcome.tasks;
  for (const [kind, count] of Object.entries(outcome.faults))
    totals[kind] = (totals[kind] ?? 0) + count;
  if (values.history) writeFileSync(values.history, formatHistory(outcome.history));
  if (outcome.violations.length > 0) {
    broken++;
    console.log(`seed ${seed}: ${outcome.violations.length} violations`);
    for (const v of outcome.violations.slice(0, 4))
      console.log("   ", v.checker, v.key, v.message.slice(0, 300));
  }
}
const seconds = (performance.now() - started) / 1000;
console.log({
  seeds: values.seeds,
  broken,
  operations,
  tasks,
  seconds,
  opsPerS: Math.round(operations / seconds),
  ...totals,
});
