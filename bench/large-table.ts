/**
 * One table of 100,000 rows, and what it costs others: it is filled, scanned in pages, written to the
 * state engine and trimmed, while clients of other keys go on. Three replicas and all clients in this
 * one process, so the longest turn of its event loop is what anybody would have waited for.
 *
 *   node bench/large-table.ts [--rows 100000] [--bytes 100]
 */
import { parseArgs } from "node:util";
import { Keyspace, Level, type RowOperation } from "../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../services/kvsvr/client.ts";
import { startCluster } from "../services/kvsvr/testing/cluster.ts";
import { monotonicMs } from "../services/svrkit/call.ts";
import { rest } from "../services/svrkit/rest.ts";
import { percentile } from "./percentile.ts";

const ROWS_PER_CHANGE = 200;
const OTHERS = 8;
const PAGE_ROWS = 50;
const SCANS = 400;

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "100000" },
    bytes: { type: "string", default: "100" },
  },
});
const ROWS = Number(values.rows);
const table = { keyspace: Keyspace.INBOX, key: Buffer.from("large") };

const cluster = await startCluster();
const { kv } = cluster;
const phases = [
  await phase("nothing", () => rest(3_000)),
  await phase("fill", fill),
  await phase("scan, rows in memory", () => scan(true)),
  await phase("checkpoint", () => rest(70_000)),
  await phase("scan, rows in the engine", () => scan(true)),
  await phase("changes", () => changes()),
  await phase("trim", trim),
  await phase("scan after the trim", () => scan(false)),
];
await cluster.close();
console.table(phases);
console.log(JSON.stringify(phases));

function rowName(i: number): Buffer {
  return Buffer.from(`r${String(i).padStart(9, "0")}`);
}

async function fill(): Promise<void> {
  const value = Buffer.alloc(Number(values.bytes), 1);
  for (let i = 0; i < ROWS; i += ROWS_PER_CHANGE) {
    const operations = Array.from({ length: ROWS_PER_CHANGE }, (_, n): RowOperation => {
      return { operation: { case: "upsert", value: { row: rowName(i + n), value } } };
    });
    await kv.change({ key: table, change: { guards: [], operations } });
  }
}

/** Pages at random places, or from the first row on, each after a new row. */
async function scan(isRandom: boolean): Promise<void> {
  for (let i = 0; i < SCANS; i++) {
    const row = rowName(Math.floor(Math.random() * ROWS) + ROWS);
    const upsert = { case: "upsert" as const, value: { row, value: Buffer.from("new") } };
    await kv.change({ key: table, change: { guards: [], operations: [{ operation: upsert }] } });
    const first = rowName(isRandom ? Math.floor(Math.random() * ROWS) : 0);
    const page = { first, end: Buffer.alloc(0), limit: PAGE_ROWS, reverse: false };
    await kv.scanRows({ key: table, ...page, level: Level.STRONG });
  }
}

async function changes(): Promise<void> {
  for (let afterVersion = 0, more = true; more; ) {
    const request = { key: table, afterVersion, limit: 1_000, level: Level.STRONG };
    const page = await kv.scanChanges(request);
    afterVersion = page.throughVersion;
    more = page.more;
  }
}

/** Forgets all rows, and waits until they have left the engine. */
async function trim(): Promise<void> {
  const all = { throughVersion: 2 ** 40, rowPrefix: Buffer.alloc(0), appendIds: false };
  const operations = [{ operation: { case: "trim" as const, value: all } }];
  await kv.change({ key: table, change: { guards: [], operations } });
  await scan(false);
  await rest(20_000);
}

/** What others' puts and gets took meanwhile, and the longest turn of the event loop. */
async function phase(name: string, run: () => Promise<void>) {
  const latencies: number[] = [];
  let isOver = false;
  const startedMs = monotonicMs();
  const others = Array.from({ length: OTHERS }, (_, i) => other(i, latencies, () => isOver));
  let turnMsMax = 0;
  let lastMs = startedMs;
  const turns = setInterval(() => {
    turnMsMax = Math.max(turnMsMax, monotonicMs() - lastMs - 1);
    lastMs = monotonicMs();
  }, 1);
  await run();
  isOver = true;
  await Promise.all(others);
  clearInterval(turns);
  latencies.sort((a, b) => a - b);
  return {
    phase: name,
    seconds: Math.round(monotonicMs() - startedMs) / 1_000,
    others: latencies.length,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    maxMs: percentile(latencies, 1),
    turnMsMax: Math.round(turnMsMax),
  };
}

async function other(i: number, latencies: number[], isOver: () => boolean): Promise<void> {
  const key = { keyspace: Keyspace.ACCOUNT, key: Buffer.from(`other-${i}`) };
  while (!isOver()) {
    const startedMs = monotonicMs();
    await writeAndRead(kv, key);
    latencies.push(monotonicMs() - startedMs);
    await rest(10);
  }
}

async function writeAndRead(client: KvClient, key: { keyspace: Keyspace; key: Buffer }) {
  const write = { case: "put" as const, value: Buffer.from("value") };
  await client.write({ key, write, expectedVersion: undefined });
  await client.get({ key, level: Level.STRONG });
}
