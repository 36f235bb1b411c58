/**
 * A replica far behind: three replica processes, one is killed, a million changes later it is started
 * again and catches up while the others serve 30 % of the peak measured before.
 *
 *   node bench/catch-up.ts [--changes 1000000] [--bytes 256] [--share 0.3] [--seconds 10]
 */
import { parseArgs } from "node:util";
import { Keyspace } from "../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { KvClient } from "../services/kvsvr/client.ts";
import { monotonicMs } from "../services/svrkit/call.ts";
import { Client } from "../services/svrkit/client.ts";
import { RpcError } from "../services/svrkit/errors.ts";
import { rest } from "../services/svrkit/rest.ts";
import { percentile } from "./percentile.ts";
import { type Facts, ReplicaProcesses } from "./replica-processes.ts";

const { values } = parseArgs({
  options: {
    changes: { type: "string", default: "1000000" },
    bytes: { type: "string", default: "256" },
    share: { type: "string", default: "0.3" },
    seconds: { type: "string", default: "10" },
    dir: { type: "string" },
  },
});

const CHANGES = Number(values.changes);
const BYTES = Number(values.bytes);
const IN_FLIGHT = 256;
/** Keys that the others' clients write meanwhile. */
const BUSY_KEYS = 10_000;
const TICK_MS = 5;
const BEHIND = 2;
const CATCH_UP_LIMIT_MS = 1_200_000;

const options = values.dir === undefined ? {} : { dir: values.dir };
const replicas = await ReplicaProcesses.start({ ...options, config: {} });
const client = new Client({ process: "bench/client", campus: "" });
const kv = new KvClient(client.callee("kvsvr", replicas.addresses, { caller: "bench" }));
await put("first", 0, 20_000);

await writeAll("busy", BUSY_KEYS);
const peak = await closedLoop(Number(values.seconds) * 1_000);
await replicas.kill(BEHIND);
const fill = await writeAll("missed", CHANGES);
const perSecond = Math.round(peak * Number(values.share));
const before = await openLoop(perSecond, rest(Number(values.seconds) * 1_000));
const caughtUp = await catchUp();
await replicas.stop();
client.stop();

const summary = {
  peakPutsPerSecond: peak,
  missedPutsPerSecond: fill,
  load: perSecond,
  catchUp: caughtUp.facts,
  before,
  during: caughtUp.others,
  p99Ratio: Math.round((caughtUp.others.p99Ms / before.p99Ms) * 100) / 100,
};
console.log(`peak: ${peak} puts a second; ${CHANGES} changes missed, at ${fill} a second`);
console.table({ before: summary.before, during: summary.during });
console.table({ "catching up": summary.catchUp });
console.log(JSON.stringify(summary));

async function put(kind: string, i: number, timeoutMs?: number): Promise<void> {
  const key = { keyspace: Keyspace.ACCOUNT, key: Buffer.from(`${kind}-${i}`) };
  const write = { case: "put" as const, value: Buffer.alloc(BYTES, i & 0xff) };
  const limits = timeoutMs === undefined ? {} : { timeoutMs };
  await kv.write({ key, write, expectedVersion: undefined }, limits);
}

/** Writes so many keys once each; tells how many a second. */
async function writeAll(kind: string, keys: number): Promise<number> {
  const startedMs = monotonicMs();
  let next = 0;
  const loop = async () => {
    while (next < keys) await put(kind, next++, 10_000);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
  return Math.round(keys / ((monotonicMs() - startedMs) / 1_000));
}

/** The most puts a second that so many in flight get. */
async function closedLoop(forMs: number): Promise<number> {
  const untilMs = monotonicMs() + forMs;
  let done = 0;
  const loop = async () => {
    while (monotonicMs() < untilMs) {
      await put("busy", Math.floor(Math.random() * BUSY_KEYS));
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
  return Math.round(done / (forMs / 1_000));
}

/** So many puts a second until `end`; latencies count from the time at which each was due. */
async function openLoop(perSecond: number, end: Promise<unknown>) {
  const latencies: number[] = [];
  const running: Promise<void>[] = [];
  const failures = new Map<string, number>();
  let isOver = false;
  void end.finally(() => {
    isOver = true;
  });
  const startedMs = monotonicMs();
  for (let sent = 0; !isOver; ) {
    const due = ((monotonicMs() - startedMs) / 1_000) * perSecond;
    for (; sent < due; sent++) {
      const dueMs = startedMs + (sent / perSecond) * 1_000;
      const one = put("busy", Math.floor(Math.random() * BUSY_KEYS)).then(
        () => {
          latencies.push(monotonicMs() - dueMs);
        },
        (error: unknown) => {
          const { code } = RpcError.from(error);
          failures.set(code, (failures.get(code) ?? 0) + 1);
        },
      );
      running.push(one);
    }
    await rest(TICK_MS);
  }
  await Promise.all(running);
  latencies.sort((a, b) => a - b);
  return {
    puts: latencies.length,
    failed: JSON.stringify(Object.fromEntries(failures)),
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    maxMs: percentile(latencies, 1),
  };
}

async function catchUp() {
  const cpuBefore = await Promise.all([0, 1].map((number) => replicas.facts(number)));
  const startedMs = monotonicMs();
  let openMs = 0;
  let anonymousMax = 0;
  const watch = setInterval(() => {
    if (openMs > 0) anonymousMax = Math.max(anonymousMax, replicas.anonymousBytes(BEHIND));
  }, 100);
  const serving = async () => {
    await replicas.startOne(BEHIND);
    openMs = monotonicMs() - startedMs;
    await replicas.serving(BEHIND, CATCH_UP_LIMIT_MS);
    return monotonicMs() - startedMs;
  };
  const served = serving();
  const others = await openLoop(perSecond, served);
  clearInterval(watch);
  const tookMs = await served;
  const cpuAfter = await replicas.allFacts();
  const cpuOf = (i: number) => cpuAfter[i]!.cpuMs - (cpuBefore[i]?.cpuMs ?? 0);
  const own: Facts = cpuAfter[BEHIND]!;
  return {
    others,
    facts: {
      openMs: Math.round(openMs),
      tookMs: Math.round(tookMs),
      recordsPerSecond: Math.round(CHANGES / ((tookMs - openMs) / 1_000)),
      compared: own.counters["kvsvr.caught_up"] ?? 0,
      fetchedAlone: own.counters["kvsvr.repaired"] ?? 0,
      cpuMs: Math.round(cpuOf(BEHIND)),
      othersCpuMs: Math.round(cpuOf(0) + cpuOf(1)),
      anonymousMiBMax: Math.round(anonymousMax / 1024 / 1024),
    },
  };
}
