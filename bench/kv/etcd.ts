/**
 * The other half: the same loads on three etcd nodes, made with etcd's own Go client by bench/etcdload,
 * which is built here; without Go by an `etcdload` on PATH, which knows the closed loops only.
 */
import { execFileSync, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { usageOfAll } from "../../services/platform/process-usage.ts";
import { rest } from "../../services/svrkit/rest.ts";
import { EtcdCluster, etcdVersion } from "./etcd-cluster.ts";
import type { Latencies } from "./load.ts";
import type { Options, PhaseName } from "./options.ts";
import { FAILOVER_SECONDS_MAX, KILL_AFTER_MS, type Phases } from "./ours.ts";

export interface EtcdPhase extends Latencies {
  readonly operations: number;
  readonly failed: number;
  readonly perSecond: number;
  /** Of all three nodes, the warm-up included. */
  readonly cpuUsPerOperation: number;
  readonly diskBytesPerOperation: number;
}

export interface EtcdFailover extends Latencies {
  readonly ratePerSecond: number;
  readonly operations: number;
  readonly failed: number;
  /** Attempts that the client reported as failed, and that the load made again. */
  readonly retried: number;
  readonly worstMs: number;
}

export interface Etcd {
  readonly version: string;
  readonly phases: Phases<EtcdPhase>;
  readonly failover: EtcdFailover | undefined;
}

const LOADS: readonly (readonly [PhaseName, readonly string[]])[] = [
  ["put256", ["--mode", "put", "--concurrency", "256"]],
  ["put1000", ["--mode", "put", "--concurrency", "1000"]],
  ["get256", ["--mode", "get", "--concurrency", "256"]],
];

/** undefined, with the reason said, when etcd or its load cannot be had here. */
export async function measureEtcd(options: Options, root: string): Promise<Etcd | undefined> {
  const version = etcdVersion();
  if (version === undefined) {
    console.log(
      "no etcd on PATH: its half is left out. On Debian: sudo apt-get install etcd-server",
    );
    return undefined;
  }
  const own = buildLoad(root);
  const load = own ?? (isOnPath("etcdload") ? "etcdload" : undefined);
  if (load === undefined) {
    console.log(
      "neither Go nor etcdload on PATH: nothing here can drive etcd, its half is left out",
    );
    return undefined;
  }
  const dir = join(root, "etcd");
  const cluster = await EtcdCluster.start(dir);
  try {
    const phases: Phases<EtcdPhase> = {};
    for (const [name, args] of LOADS)
      if (options.phases.includes(name)) phases[name] = await phase(options, cluster, load, args);
    const put = phases.put256;
    if (own === undefined) console.log("no Go on PATH: the failover of etcd is left out");
    const isWanted = own !== undefined && put !== undefined && options.phases.includes("failover");
    const failover = isWanted
      ? await failOver(options, cluster, own, put.perSecond / 2)
      : undefined;
    return { version, phases, failover };
  } finally {
    cluster.killAll();
    rmSync(dir, { recursive: true, force: true });
  }
}

function isOnPath(command: string): boolean {
  try {
    execFileSync(command, ["--help"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** The built program's path; undefined when there is no Go, or it cannot build. */
function buildLoad(root: string): string | undefined {
  const program = join(root, "etcdload");
  const cwd = join(import.meta.dirname, "../etcdload");
  try {
    execFileSync("go", ["build", "-o", program, "."], { cwd, stdio: ["ignore", "ignore", "pipe"] });
    return program;
  } catch {
    return undefined;
  }
}

function argumentsOf(options: Options, cluster: EtcdCluster, seconds: number): string[] {
  const { keys, valueBytes, warmUpMs } = options;
  const args = ["--endpoints", cluster.endpoints.join(","), "--keys", String(keys)];
  args.push("--value-bytes", String(valueBytes), "--seconds", String(Math.ceil(seconds)));
  return [...args, "--warm-up", String(Math.ceil(warmUpMs / 1_000))];
}

async function phase(
  options: Options,
  cluster: EtcdCluster,
  load: string,
  mode: readonly string[],
): Promise<EtcdPhase> {
  const before = usageOfAll(cluster.pids);
  const args = [...argumentsOf(options, cluster, options.seconds), ...mode];
  const report = await runLoad(load, args, () => {});
  const after = usageOfAll(cluster.pids);
  const all = report.perSecond * (options.seconds + options.warmUpMs / 1_000);
  return {
    ...latenciesOf(report),
    operations: report.operations,
    failed: report.failed,
    perSecond: Math.round(report.perSecond),
    cpuUsPerOperation: Math.round((after.cpuUs - before.cpuUs) / all),
    diskBytesPerOperation: Math.round((after.writtenBytes - before.writtenBytes) / all),
  };
}

async function failOver(
  options: Options,
  cluster: EtcdCluster,
  load: string,
  ratePerSecond: number,
): Promise<EtcdFailover> {
  const seconds = Math.min(options.seconds, FAILOVER_SECONDS_MAX);
  const args = argumentsOf(options, cluster, seconds);
  args.push("--mode", "open", "--rate", String(Math.round(ratePerSecond)));
  let killed: Promise<void> = Promise.resolve();
  const onStarted = () => {
    killed = rest(Math.min(KILL_AFTER_MS, (seconds * 1_000) / 2)).then(() => cluster.killLeader());
  };
  const report = await runLoad(load, args, onStarted);
  await killed;
  return {
    ratePerSecond: Math.round(ratePerSecond),
    ...latenciesOf(report),
    operations: report.operations,
    failed: report.failed,
    retried: report.retried ?? 0,
    worstMs: report.maxMs,
  };
}

/** What etcdload prints last. */
interface Report extends Omit<Latencies, "p9999Ms"> {
  /** Older versions do not say. */
  readonly p9999Ms?: number;
  readonly operations: number;
  readonly failed: number;
  readonly perSecond: number;
  readonly retried?: number;
}

function latenciesOf(report: Report): Latencies {
  const { p50Ms, p99Ms, p999Ms, p9999Ms = Number.NaN, maxMs } = report;
  return { p50Ms, p99Ms, p999Ms, p9999Ms, maxMs };
}

async function runLoad(
  load: string,
  args: readonly string[],
  onStarted: () => void,
): Promise<Report> {
  const child = spawn(load, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) =>
      code === 0 ? resolve() : reject(new Error(`${load} ended with code ${code}`)),
    );
  });
  let last = "";
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === "started") onStarted();
    last = line;
  }
  await ended;
  return JSON.parse(last) as Report;
}
