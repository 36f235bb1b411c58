/**
 * Overload: a service M of fixed work on one core, the load generator on the other, four strategies in one
 * run. Tasks call M one to four times (M^1 to M^4), or once through a chain in which M calls itself; they
 * arrive at 0.5 to 4 times the rate that saturates M and succeed when all is done within 500 ms.
 *
 *   node bench/overload.ts [--quick] [--seconds 1.5] [--strategies random,ours] [--after-wait]
 *     [--svg docs/overload.svg]
 *
 * Each run is a line on stderr as it ends; tables and the JSON line come last. The whole takes a quarter of an hour
 * and more; `--quick` has the tasks and loads in which strategies differ most, and takes four to five minutes.
 *
 * What could have been done is what M had of its core in that time, used or idle, over what a call costs:
 * other work of the machine takes part of the core. What a call costs is taken before each strategy, by calls
 * that are always open, and again at the end. Without admission calls have no deadline either; with any of the
 * others, work whose task is over is dropped before it starts. With `--after-wait` M works only after it has waited
 * for something else: what admission can see of its work is the thread's CPU time alone.
 */
import { type ChildProcess, fork, spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { type Callee, Client } from "../services/svrkit/client.ts";
import { rest } from "../services/svrkit/rest.ts";
import {
  type Kind,
  latencies,
  type Offer,
  offerTasks,
  saturate,
  successOf,
  TASK_MS,
  type Task,
  usefulWork,
  workOf,
  workOfSucceeded,
} from "./overload/load.ts";
import {
  describe,
  describeSettling,
  drawReport,
  printReport,
  type Run,
  type Step,
} from "./overload/report.ts";
import type { Counts } from "./overload/service.ts";
import { STRATEGIES, type Strategy } from "./overload/strategies.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string" },
    strategies: { type: "string", default: STRATEGIES.join(",") },
    svg: { type: "string", default: "" },
    "after-wait": { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
  },
});
const FOR_MS = Number(values.seconds ?? (values.quick ? 0.6 : 1.5)) * 1_000;
const WARM_UP_MS = 1_000;
const STEP_AT_MS = 1_000;
const STEP_MS = 2_500;
/** Without a deadline: longer than the longest queue. */
const ENDLESS_MS = 6_000;
const NOTHING: Counts = { started: 0, counted: 0, hadMs: 0, atMs: 0 };
/** Mixed tasks are told apart by four kinds: they get more time. */
const MIXED_FACTOR = 3;
/** The goals are ours: there chance may be no more than a point or two, and a step is the mean of several. */
const OURS_FACTOR = 4;
const TIMES = values.quick ? [1, 4] : [0.5, 1, 2, 4];
const MIXED_TIMES = values.quick ? [4] : [2, 4];
const SERVICE = new URL("overload/service.ts", import.meta.url);
const PINNED = "TRICAMPUS_BENCH_PINNED";

const mk: Kind[] = [1, 2, 3, 4].map((calls) => ({ name: `M^${calls}`, calls, depth: 1 }));
const chains: Kind[] = [2, 3, 4].map((depth) => ({ name: `chain of ${depth}`, calls: 1, depth }));
const ALONE = values.quick ? [mk[0]!, mk[3]!, chains[0]!] : [...mk, ...chains];

/** One core each, where that can be had: starts this very program again on the first. */
function pinnedElsewhere(): boolean {
  const canPin = spawnSync("taskset", ["--version"]).status === 0 && availableParallelism() > 1;
  if (!canPin || process.env[PINNED] !== undefined) return false;
  const args = ["-c", "0", process.execPath, ...process.argv.slice(1)];
  const env = { ...process.env, [PINNED]: "1" };
  process.exitCode = spawnSync("taskset", args, { stdio: "inherit", env }).status ?? 1;
  return true;
}

async function main(): Promise<void> {
  const service = await startService();
  const client = new Client({ process: "bench/client", campus: "a" });
  const address = { campus: "b", host: "127.0.0.1", port: service.port };
  const callee = client.callee("m", [address], { caller: "bench" });
  const runs: Run[] = [];
  const steps: Step[] = [];
  const rates: number[] = [];
  for (const strategy of STRATEGIES.filter((name) => values.strategies.includes(name))) {
    const m = await Service.measured(service, callee);
    rates.push(m.perSecond);
    console.error(`M does ${Math.round(m.perSecond)} calls a second before ${strategy}`);
    const loads = ALONE.flatMap((kind) => TIMES.map((times) => ({ kinds: [kind], times })));
    for (const { kinds, times } of [
      ...loads,
      ...MIXED_TIMES.map((times) => ({ kinds: mk, times })),
    ]) {
      const run = await m.run(strategy, kinds, times);
      runs.push(run);
      console.error(`${strategy}, ${run.kind} at ${times} x: ${describe(run)}`);
    }
    const step = await m.step(strategy, timesMore(strategy));
    steps.push(step);
    console.error(`${strategy}, a step from 0.5 to 4 x: ${describeSettling(step)}`);
  }
  rates.push((await Service.measured(service, callee)).perSecond);
  client.stop();
  service.process.disconnect();
  const report = { rates, runs, steps };
  printReport(report);
  if (values.svg !== "") drawReport(report, values.svg);
  console.log(JSON.stringify(report));
}

type ServiceProcess = Awaited<ReturnType<typeof startService>>;

/** M, and what it can do. */
class Service {
  readonly #process: ServiceProcess;
  readonly #callee: Callee;
  /** What a call takes of its core. */
  readonly #perCallMs: number;

  private constructor(service: ServiceProcess, callee: Callee, perCallMs: number) {
    this.#process = service;
    this.#callee = callee;
    this.#perCallMs = perCallMs;
  }

  /** Calls a second of its core. */
  get perSecond(): number {
    return 1_000 / this.#perCallMs;
  }

  static async measured(service: ServiceProcess, callee: Callee): Promise<Service> {
    await service.ask("none");
    await saturate(callee, 1_000);
    const before = await service.ask("count");
    await saturate(callee, 3_000);
    const now = await service.ask("count");
    const perCallMs = (now.hadMs - before.hadMs) / (now.started - before.started);
    return new Service(service, callee, perCallMs);
  }

  async run(strategy: Strategy, kinds: readonly Kind[], times: number): Promise<Run> {
    const rate = (times * this.perSecond) / meanWork(kinds);
    const forMs = FOR_MS * timesMore(strategy) * (kinds.length > 1 ? MIXED_FACTOR : 1);
    const endMs = WARM_UP_MS + forMs;
    const { all, from, to, counted } = await this.#offer(strategy, {
      ...{ kinds, rate: () => rate, warmUpMs: WARM_UP_MS, forMs: endMs },
    });
    const tasks = all.filter((task) => task.atMs >= WARM_UP_MS);
    const possible = (this.#possibleRate(from, to) * forMs) / 1_000;
    const offered = tasks.reduce((sum, { kind }) => sum + workOf(kind), 0);
    const useful = usefulWork(all, WARM_UP_MS, endMs);
    const success = successOf(tasks);
    const byKind = Object.fromEntries(
      kinds.map((kind) => [kind.name, successOf(tasks.filter((task) => task.kind === kind))]),
    );
    return {
      ...{ strategy, kind: kinds.length === 1 ? kinds[0]!.name : "mixed", times, success },
      ofIdeal: success / Math.min(1, possible / offered),
      goodput: useful / possible,
      // By task and not by time: what is under way when a short load ends may be a quarter of all.
      wasted: counted === 0 ? 0 : 1 - workOfSucceeded(tasks) / counted,
      ...latencies(tasks),
      ...(kinds.length > 1 && { byKind }),
    };
  }

  async step(strategy: Strategy, count: number): Promise<Step> {
    const rate = (sinceMs: number) =>
      ((sinceMs < STEP_AT_MS ? 0.5 : 4) * this.perSecond) / meanWork(mk);
    const steps: number[][] = [];
    for (let i = 0; i < count; i++) {
      const { all, from, to } = await this.#offer(strategy, {
        ...{ kinds: mk, rate, warmUpMs: STEP_AT_MS, forMs: STEP_AT_MS + STEP_MS },
      });
      steps.push(sharesOf(all, this.#possibleRate(from, to)));
    }
    const mean = (at: number) => steps.reduce((sum, shares) => sum + shares[at]!, 0) / count;
    return stepOf(
      strategy,
      steps[0]!.map((_, at) => mean(at)),
    );
  }

  async #offer(strategy: Strategy, offer: Omit<Offer, "patienceMs" | "mark">) {
    await this.#process.ask(strategy);
    const before = await this.#process.ask("count");
    const counts = { warm: NOTHING, end: NOTHING };
    const all = await offerTasks(this.#callee, {
      ...offer,
      patienceMs: strategy === "none" ? ENDLESS_MS : TASK_MS,
      mark: async (what) => {
        counts[what] = await this.#process.ask("count");
      },
    });
    await rest(300);
    const after = await this.#process.ask("count");
    const counted = after.counted - before.counted;
    return { all, from: counts.warm, to: counts.end, counted };
  }

  /**
   * Calls a second that M could have done with what it had of its core between two counts. Not how many: a count is
   * taken when M hears that it was asked for, which is late when it has too much to do.
   */
  #possibleRate(from: Counts, to: Counts): number {
    const share = (to.hadMs - from.hadMs) / (to.atMs - from.atMs);
    return share * this.perSecond;
  }
}

function meanWork(kinds: readonly Kind[]): number {
  return kinds.reduce((sum, kind) => sum + workOf(kind), 0) / kinds.length;
}

function timesMore(strategy: Strategy): number {
  return strategy === "ours" ? OURS_FACTOR : 1;
}

/** Goodput by 100 ms after the step, as a share of what M can do. */
function sharesOf(tasks: readonly Task[], perSecond: number): number[] {
  const shares = Array.from({ length: STEP_MS / 100 }, () => 0);
  for (const { kind, endMs, succeeded } of tasks) {
    const at = Math.floor((endMs - STEP_AT_MS) / 100);
    if (succeeded && at >= 0 && at < shares.length) shares[at]! += workOf(kind) / (perSecond / 10);
  }
  return shares;
}

function stepOf(strategy: Strategy, shares: readonly number[]): Step {
  // Single windows scatter: three in a row are looked at together.
  const smooth = shares.map(
    (_, i) => (shares[i]! + (shares[i + 1] ?? 1) + (shares[i + 2] ?? 1)) / 3,
  );
  const lastLow = smooth.slice(0, -2).findLastIndex((share) => share < 0.85);
  const settledMs = lastLow >= smooth.length - 3 ? null : (lastLow + 1) * 100;
  return { strategy, shares: shares.map((share) => Math.round(100 * share) / 100), settledMs };
}

async function startService() {
  const child = fork(SERVICE, values["after-wait"] ? ["after-wait"] : [], { execArgv: [] });
  const { port } = await heard<{ port: number }>(child);
  if (process.env[PINNED] !== undefined)
    spawnSync("taskset", ["-a", "-cp", "1", String(child.pid)]);
  // One after the other: a busy M answers late, and whoever waits takes any answer for its own.
  let last: Promise<unknown> = Promise.resolve();
  const ask = (order: Strategy | "count") => {
    const answer = last.then(() => {
      child.send(order);
      return heard<Counts>(child);
    });
    last = answer;
    return answer;
  };
  return { process: child, port, ask };
}

function heard<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve) => child.once("message", (message) => resolve(message as T)));
}

if (!pinnedElsewhere()) await main();
