/**
 * Data larger than memory: 4 GiB of 4 KiB values on three replica processes with a cache of 256 MiB each,
 * random gets and puts over all keys, then kill -9 of all three and the time until they serve again.
 *
 *   node bench/large-data.ts [--mib 4096] [--bytes 4096] [--cache-mib 256] [--checkpoint-mib 64]
 *                            [--seconds 20] [--dir DIR]
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Keyspace, Level } from "../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { KvClient } from "../services/kvsvr/client.ts";
import { monotonicMs } from "../services/svrkit/call.ts";
import { Client } from "../services/svrkit/client.ts";
import { RpcError } from "../services/svrkit/errors.ts";
import { rest } from "../services/svrkit/rest.ts";
import { percentile } from "./percentile.ts";
import { ReplicaProcesses } from "./replica-processes.ts";

const { values } = parseArgs({
  options: {
    mib: { type: "string", default: "4096" },
    bytes: { type: "string", default: "4096" },
    "cache-mib": { type: "string", default: "256" },
    "checkpoint-mib": { type: "string", default: "64" },
    seconds: { type: "string", default: "20" },
    dir: { type: "string" },
  },
});

const MIB = 1024 * 1024;
const BYTES = Number(values.bytes);
const KEYS = Math.floor((Number(values.mib) * MIB) / BYTES);
const CACHE_MIB = Number(values["cache-mib"]);
const IN_FLIGHT = 64;
const NUMBERS = [0, 1, 2];
const SAMPLE_MS = 200;
const RESTART_LIMIT_MS = 120_000;

const where = values.dir === undefined ? {} : { dir: values.dir };
const config = {
  cacheBytes: CACHE_MIB * MIB,
  checkpointBytes: Number(values["checkpoint-mib"]) * MIB,
};
const replicas = await ReplicaProcesses.start({ ...where, config });
const client = new Client({ process: "bench/client", campus: "" });
const kv = new KvClient(client.callee("kvsvr", replicas.addresses, { caller: "bench" }));
const value = Buffer.alloc(BYTES, 7);
let putsDone = 0;
await put(0, 20_000);

const forMs = Number(values.seconds) * 1_000;
const any = () => Math.floor(Math.random() * KEYS);
const phases = [
  await phase("fill", { until: (n) => n >= KEYS, operate: put }),
  await phase("gets", { until: after(forMs), operate: () => get(any()) }),
  await phase("puts", { until: after(forMs), operate: () => put(any()) }),
  await phase("both", {
    until: after(forMs),
    operate: (n) => (n % 2 === 0 ? get(any()) : put(any())),
  }),
];
const disk = diskUse();
console.table(phases);
const restart = await killAll();
client.stop();
await replicas.stop();

const anonymousMiBMax = Math.max(...phases.map((p) => p.anonymousMiBMax));
console.table({ disk, restart });
const summary = { keys: KEYS, cacheMiB: CACHE_MIB, anonymousMiBMax, phases, disk, restart };
console.log(JSON.stringify(summary));

function keyOf(i: number) {
  return { keyspace: Keyspace.ACCOUNT, key: Buffer.from(`key-${i}`) };
}

async function put(i: number, timeoutMs = 10_000): Promise<void> {
  value.writeUInt32LE(i, 0);
  const write = { case: "put" as const, value: Buffer.from(value) };
  await kv.write({ key: keyOf(i), write, expectedVersion: undefined }, { timeoutMs });
  putsDone += 1;
}

async function get(i: number): Promise<void> {
  const reply = await kv.get({ key: keyOf(i), level: Level.STRONG }, { timeoutMs: 10_000 });
  if (reply.value.length !== BYTES || Buffer.from(reply.value).readUInt32LE(0) !== i)
    throw new RpcError("INTERNAL", `key ${i} holds another value`);
}

/** True so long after it was first asked. */
function after(ms: number): () => boolean {
  let endMs: number | undefined;
  return () => {
    endMs ??= monotonicMs() + ms;
    return monotonicMs() > endMs;
  };
}

/** Operations side by side until `until` says so of the next one's number. */
async function phase(
  name: string,
  { until, operate }: { until: (n: number) => boolean; operate: (n: number) => Promise<void> },
) {
  const latencies: number[] = [];
  const failures = new Map<string, number>();
  const most = NUMBERS.map(() => 0);
  const sample = () => {
    for (const i of NUMBERS) most[i] = Math.max(most[i]!, replicas.anonymousBytes(i));
  };
  const sampler = setInterval(sample, SAMPLE_MS);
  const startedMs = monotonicMs();
  let next = 0;
  const loop = async () => {
    for (let n = next++; !until(n); n = next++) {
      const sentMs = monotonicMs();
      try {
        await operate(n);
        latencies.push(monotonicMs() - sentMs);
      } catch (error) {
        const { code } = RpcError.from(error);
        failures.set(code, (failures.get(code) ?? 0) + 1);
      }
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
  clearInterval(sampler);
  latencies.sort((a, b) => a - b);
  return {
    phase: name,
    perSecond: Math.round(latencies.length / ((monotonicMs() - startedMs) / 1_000)),
    failed: JSON.stringify(Object.fromEntries(failures)),
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    maxMs: percentile(latencies, 1),
    anonymousMiBMax: Math.round(Math.max(...most) / MIB),
  };
}

/** Of one replica; written: by the file system to the disk, logs and engine together. */
function diskUse() {
  const dir = replicas.dir(0);
  const engine = statSync(join(dir, "state", "state.mdb")).blocks * 512;
  const logs = readdirSync(dir).filter((name) => name.startsWith("log-"));
  const logBytes = logs.reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
  const io = readFileSync(`/proc/${replicas.pid(0)}/io`, "utf8");
  const written = Number(/^write_bytes: (\d+)/m.exec(io)?.[1] ?? 0);
  return {
    engineMiB: Math.round(engine / MIB),
    logMiB: Math.round(logBytes / MIB),
    writtenPerPayloadByte: Math.round((written / (putsDone * BYTES)) * 100) / 100,
  };
}

/** kill -9 of all in a moment of writing; until clients are served, and until every replica serves. */
async function killAll() {
  const writing = Promise.allSettled(Array.from({ length: IN_FLIGHT }, () => put(any(), 200)));
  await Promise.all(NUMBERS.map((number) => replicas.kill(number)));
  await writing;
  const startedMs = monotonicMs();
  const sinceMs = () => Math.round(monotonicMs() - startedMs);
  const started = replicas.startAll().then(sinceMs);
  const clients = served().then(sinceMs);
  const doorsMs = await started;
  const clientsMs = await clients;
  const all = Promise.all(NUMBERS.map((number) => replicas.serving(number, RESTART_LIMIT_MS)));
  const allReplicasMs = await all.then(sinceMs, () => `not after ${RESTART_LIMIT_MS}`);
  return { doorsMs, clientsMs, allReplicasMs };
}

/** Resolves when a put and a get were answered. */
async function served(): Promise<void> {
  for (;;) {
    try {
      await put(0, 1_000);
      return await get(0);
    } catch {
      await rest(20);
    }
  }
}
