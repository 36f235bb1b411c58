/**
 * What a put costs the store's code: three replicas and their client in one process on one core, over
 * loopback, with logs whose syncs take no time. Compares two versions of the code where a whole
 * benchmark on a shared machine cannot; says nothing of latency. With `--rows` each is a change of so many
 * rows that have `--bytes` together, in one of `--keys` tables.
 *
 *   taskset -c 1 node bench/kv-cpu.ts [--puts 200000] [--keys 20000] [--in-flight 256] [--bytes 256] [--rows 10]
 */
import { PerformanceObserver } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { Keyspace, type RowOperation } from "../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { type Files, systemFiles } from "../services/kvsvr/storage/files.ts";
import { startCluster } from "../services/kvsvr/testing/cluster.ts";

const { values } = parseArgs({
  options: {
    puts: { type: "string", default: "200000" },
    keys: { type: "string", default: "20000" },
    "in-flight": { type: "string", default: "256" },
    bytes: { type: "string", default: "256" },
    rows: { type: "string", default: "0" },
    rounds: { type: "string", default: "5" },
  },
});
const keys = Number(values.keys);
const puts = Number(values.puts);
const rows = Number(values.rows);
const bytes = Number(values.bytes);

/** A sync that is over in the next turn. */
const files: Files = {
  ...systemFiles,
  async open(path) {
    return { ...(await systemFiles.open(path)), sync: () => Promise.resolve() };
  },
};

let gcMs = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) gcMs += duration;
}).observe({ entryTypes: ["gc"] });

const config = { checkpointBytes: 2 ** 34, checkpointMs: 3_600_000 };
const cluster = await startCluster({ files: () => files, config });
await cluster.allServe();
await run(keys, (i) => i);
const results: { cpuUs: number; mainUs: number; gcUs: number }[] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  const cpu = process.cpuUsage();
  const started = performance.now();
  gcMs = 0;
  await run(puts / 5, () => Math.floor(Math.random() * keys));
  const { user, system } = process.cpuUsage(cpu);
  const ended = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 10));
  const n = puts / 5;
  results.push({
    cpuUs: (user + system) / n,
    mainUs: ((ended - started) * 1_000) / n,
    gcUs: (gcMs * 1_000) / n,
  });
}
console.table(results.map((r) => ({ ...r })));
const best = results.reduce((a, b) => (a.cpuUs < b.cpuUs ? a : b));
console.log(JSON.stringify(best));
await cluster.close();

async function run(count: number, keyOf: (i: number) => number): Promise<void> {
  let next = 0;
  const loop = async () => {
    while (next < count) {
      const i = keyOf(next++);
      await (rows === 0 ? put(i) : change(i));
    }
  };
  await Promise.all(Array.from({ length: Number(values["in-flight"]) }, loop));
}

async function put(i: number): Promise<void> {
  const write = { case: "put" as const, value: Buffer.alloc(bytes, i & 0xff) };
  const key = { keyspace: Keyspace.ACCOUNT, key: Buffer.from(`key-${i}`) };
  await cluster.kv.write({ key, write, expectedVersion: undefined });
}

async function change(i: number): Promise<void> {
  const operations = Array.from({ length: rows }, (_, n): RowOperation => {
    const value = Buffer.alloc(Math.ceil(bytes / rows), i & 0xff);
    return { operation: { case: "upsert", value: { row: Buffer.from(`row-${n}`), value } } };
  });
  const key = { keyspace: Keyspace.INBOX, key: Buffer.from(`table-${i}`) };
  await cluster.kv.change({ key, change: { guards: [], operations } });
}
