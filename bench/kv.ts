/**
 * KVSvr on this machine: three replica processes and one load process, real logs and engines.
 * Puts of 256 B over 100,000 keys, then linearizable gets; closed loop.
 *
 *   node bench/kv.ts [--seconds 10] [--inflight 256] [--keys 100000] [--bytes 256] [--dir DIR]
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Keyspace, Level } from "../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { KvClient } from "../services/kvsvr/client.ts";
import { configSchema } from "../services/kvsvr/config.ts";
import { BOOTSTRAP_FILE } from "../services/kvsvr/identity.ts";
import { openReplica } from "../services/kvsvr/open.ts";
import { systemFiles } from "../services/kvsvr/storage/files.ts";
import { monotonicMs } from "../services/svrkit/call.ts";
import { Client, type ServiceAddress } from "../services/svrkit/client.ts";
import { createLogger } from "../services/svrkit/log.ts";
import { readCounters } from "../services/svrkit/monitors/registry.ts";
import { Server } from "../services/svrkit/server.ts";
import { percentile } from "./percentile.ts";

const CAMPUSES = ["a", "b", "c"];
const WARM_UP_MS = 2_000;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "10" },
    inflight: { type: "string", default: "256" },
    keys: { type: "string", default: "100000" },
    bytes: { type: "string", default: "256" },
    dir: { type: "string" },
    serve: { type: "string" },
  },
});

if (values.serve !== undefined) await serve(Number(values.serve), values.dir!);
else await measure();

async function serve(number: number, dir: string): Promise<void> {
  const campus = CAMPUSES[number]!;
  const identity = { process: `${campus}/kvsvr`, campus };
  const log = createLogger({ process: identity.process, level: "warn" });
  const server = new Server(identity, log);
  const port = await server.listen({ host: "127.0.0.1", port: 0 });
  process.send?.(port);
  process.on("disconnect", () => process.exit(0));
  const addresses = await new Promise<ServiceAddress[]>((resolve) =>
    process.once("message", (message) => resolve(message as ServiceAddress[])),
  );
  const client = new Client(identity);
  await openReplica({
    dir,
    number,
    campus,
    config: configSchema.parse({}),
    callee: client.callee("kvsvr", addresses, { caller: "kvsvr", local: server }),
    server,
    log,
    files: systemFiles,
    fatal: (error) => {
      throw error;
    },
    restart: () => process.exit(1),
  });
  process.send?.("serving");
  process.on("message", () => {
    process.send?.({ counters: readCounters(), cpu: process.cpuUsage() });
  });
}

interface Facts {
  counters: [string, number][];
  cpu: { user: number; system: number };
}

function factsOf(child: ChildProcess): Promise<Facts> {
  return new Promise((resolve) => {
    child.once("message", (message) => resolve(message as Facts));
    child.send("facts");
  });
}

async function measure(): Promise<void> {
  const root = values.dir ?? mkdtempSync(join(tmpdir(), "tricampus-bench-"));
  const children: ChildProcess[] = [];
  const addresses: ServiceAddress[] = [];
  for (const [number, campus] of CAMPUSES.entries()) {
    const dir = join(root, campus);
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, BOOTSTRAP_FILE), "");
    const profile =
      process.env["CPU_PROFILE"] === undefined
        ? []
        : ["--cpu-prof", `--cpu-prof-dir=${process.env["CPU_PROFILE"]}`];
    const child = fork(import.meta.filename, ["--serve", String(number), "--dir", dir], {
      execArgv: [
        ...profile,
        ...(process.env["NODE_ARGS"] ?? "").split(" ").filter((a) => a !== ""),
      ],
    });
    const port = await new Promise<number>((resolve) =>
      child.once("message", (p) => resolve(Number(p))),
    );
    children.push(child);
    addresses.push({ campus, host: "127.0.0.1", port });
  }
  await Promise.all(
    children.map((child) => {
      const serving = new Promise((resolve) => child.once("message", resolve));
      child.send(addresses);
      return serving;
    }),
  );
  const client = new Client({ process: "bench/client", campus: "" });
  const kv = new KvClient(client.callee("kvsvr", addresses, { caller: "bench" }));
  await kv.write(put(0), { timeoutMs: 20_000 });
  const fill = await fillAll(kv);
  const puts = await run("put", children, async (i) => {
    await kv.write(put(i));
  });
  const gets = await run("get", children, async (i) => {
    await kv.get({ key: keyOf(i), level: Level.STRONG });
  });
  client.stop();
  for (const child of children) child.disconnect();
  console.log(`fill: ${fill} first writes of a key a second`);
  console.table([puts, gets]);
  if (values.dir === undefined) rmSync(root, { recursive: true, force: true });
  console.log(JSON.stringify({ fillPerSecond: fill, put: puts, get: gets }));
}

/** Writes every key once, so that what is measured are changes, not creations. */
async function fillAll(kv: KvClient): Promise<number> {
  const keys = Number(values.keys);
  const started = monotonicMs();
  let next = 0;
  const loop = async () => {
    while (next < keys) await kv.write(put(next++));
  };
  await Promise.all(Array.from({ length: Number(values.inflight) }, loop));
  return Math.round(keys / ((monotonicMs() - started) / 1_000));
}

function keyOf(i: number) {
  return { keyspace: Keyspace.ACCOUNT, key: Buffer.from(`key-${i}`) };
}

function put(i: number) {
  const value = Buffer.alloc(Number(values.bytes), i & 0xff);
  return { key: keyOf(i), write: { case: "put" as const, value }, expectedVersion: undefined };
}

async function run(
  name: string,
  children: readonly ChildProcess[],
  operate: (i: number) => Promise<void>,
) {
  const keys = Number(values.keys);
  const latencies: number[] = [];
  const from = monotonicMs() + WARM_UP_MS;
  const until = from + Number(values.seconds) * 1_000;
  let before: Facts[] = [];
  setTimeout(
    () => Promise.all(children.map(factsOf)).then((facts) => (before = facts)),
    WARM_UP_MS,
  );
  let failed = 0;
  const loop = async () => {
    for (let now = monotonicMs(); now < until; ) {
      const started = now;
      await operate(Math.floor(Math.random() * keys)).catch(() => (failed += 1));
      now = monotonicMs();
      if (started >= from) latencies.push(now - started);
    }
  };
  await Promise.all(Array.from({ length: Number(values.inflight) }, loop));
  const after = await Promise.all(children.map(factsOf));
  latencies.sort((a, b) => a - b);
  const sum = (counter: string) => total(after, counter) - total(before, counter);
  const cpuUs = after.reduce(
    (n, f, i) => n + f.cpu.user + f.cpu.system - before[i]!.cpu.user - before[i]!.cpu.system,
    0,
  );
  return {
    operation: name,
    perSecond: Math.round(latencies.length / Number(values.seconds)),
    failed,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    maxMs: percentile(latencies, 1),
    fsyncsPerOperation: Math.round((sum("kvsvr.fsyncs") / latencies.length) * 1000) / 1000,
    logBytesPerOperation: Math.round(sum("kvsvr.log_bytes") / latencies.length),
    versionQueries: sum("kvsvr.version_queries"),
    hedges: sum("kvsvr.accept_hedges"),
    repaired: sum("kvsvr.repaired"),
    replicaCpuUsPerOperation: Math.round(cpuUs / latencies.length),
  };
}

function total(facts: readonly Facts[], counter: string): number {
  return facts.reduce(
    (sum, f) => sum + (f.counters.find(([name]) => name === counter)?.[1] ?? 0),
    0,
  );
}
