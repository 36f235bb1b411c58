/**
 * The operator before an API server double in a process of its own: how long it takes from an empty cache
 * until every child of 10,000 KV groups is there, how much memory that is, and what an idle hour writes.
 *
 *   node bench/operator.ts [--groups 10000]
 */
import { type ChildProcess, type ForkOptions, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { DoubleCounts, OperatorState, ToDouble, ToOperator } from "./operator/messages.ts";

/** A data centre has at most so many. */
const GROUPS_EACH = 8;
/** Without news an operator looks at each data centre once a minute. */
const ROUNDS_AN_HOUR = 60;
const QUIET_MS = 2_000;
const GIVE_UP_MS = 1_200_000;

const { values } = parseArgs({ options: { groups: { type: "string", default: "10000" } } });
const groups = Number(values.groups);
const dataCenters = Math.ceil(groups / GROUPS_EACH);

const start = (name: string, args: readonly string[], as: ForkOptions = { execArgv: [] }) =>
  fork(join(import.meta.dirname, "operator", name), args, as);
const message = <T>(child: ChildProcess) =>
  new Promise<T>((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`a process ended early (${code})`));
    child.once("exit", ended);
    child.once("message", (said) => {
      child.off("exit", ended);
      resolve(said as T);
    });
  });
async function ask<T>(child: ChildProcess, asked: ToDouble | ToOperator): Promise<T> {
  const answer = message<T>(child);
  child.send(asked);
  return answer;
}
const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Until nothing was written for a while and nobody waits; resolves to when the last write was. */
async function settled(double: ChildProcess, operator: ChildProcess): Promise<number> {
  const startMs = performance.now();
  let [writes, lastMs] = [-1, startMs];
  for (;;) {
    const counts = await ask<DoubleCounts>(double, { ask: "counts" });
    const { depth } = await ask<OperatorState>(operator, { ask: "state" });
    const now = performance.now();
    const other = counts.writes - counts.leaseWrites;
    if (other !== writes) [writes, lastMs] = [other, now];
    if (depth === 0 && writes > 0 && now - lastMs > QUIET_MS) return lastMs;
    if (now - startMs > GIVE_UP_MS) throw new Error("not settled in twenty minutes");
    await rest(100);
  }
}

/** As many rounds over all data centres as an idle hour has. */
async function idleHour(operator: ChildProcess): Promise<void> {
  for (let n = 0; n < ROUNDS_AN_HOUR; n++) {
    const { rounds } = await ask<OperatorState>(operator, { ask: "rounds" });
    for (;;) {
      const state = await ask<OperatorState>(operator, { ask: "state" });
      if (state.depth === 0 && state.rounds >= rounds + dataCenters) break;
      await rest(20);
    }
  }
}

// As in its pod (charts/tricampus/templates/operator.yaml), and with what the image has compiled.
const FLAGS = [
  "--v8-pool-size=1",
  "--optimize-for-size",
  "--max-semi-space-size=4",
  "--heap-growing-percent=20",
];
const cache = mkdtempSync(join(tmpdir(), "tricampus-bench-operator-"));
process.env.NODE_COMPILE_CACHE = cache;
const IN_POD = { execArgv: FLAGS, env: { ...process.env, MALLOC_ARENA_MAX: "1" } };
await once(start("../../operator/warm-up.ts", [], IN_POD), "exit");
await once(start("operator-process.ts", [], IN_POD), "exit");
const double = start("double-process.ts", [String(dataCenters), String(GROUPS_EACH)]);
const url = await message<string>(double);
const startedMs = performance.now();
const operator = start("operator-process.ts", [url], IN_POD);
try {
  const convergedMs = (await settled(double, operator)) - startedMs;
  const there = await ask<DoubleCounts>(double, { ask: "counts" });
  const state = await ask<OperatorState>(operator, { ask: "state" });
  await idleHour(operator);
  const after = await ask<DoubleCounts>(double, { ask: "counts" });
  const idle = await ask<OperatorState>(operator, { ask: "state" });
  const result = {
    groups: dataCenters * GROUPS_EACH,
    dataCenters,
    children: there.objects,
    writes: there.writes - there.leaseWrites,
    convergedSeconds: Math.round(convergedMs / 100) / 10,
    doubleCpuSeconds: there.cpuSeconds,
    operatorCpuSeconds: Math.round(state.cpuSeconds * 10) / 10,
    rssMbMax: state.rssMbMax,
    idleRssMb: idle.rssMb,
    idleHourWrites: after.writes - after.leaseWrites - (there.writes - there.leaseWrites),
    idleHourCpuSeconds: Math.round((idle.cpuSeconds - state.cpuSeconds) * 10) / 10,
  };
  for (const [name, value] of Object.entries(result)) console.log(`${name.padEnd(20)} ${value}`);
  console.log(JSON.stringify(result));
} finally {
  operator.kill();
  double.kill();
  rmSync(cache, { recursive: true });
}
