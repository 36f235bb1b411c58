/** Our own half: three replicas, the load's phases, and what the replicas count meanwhile. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Keyspace, Level, type RowOperation } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { KvClient } from "../../services/kvsvr/client.ts";
import { Client } from "../../services/svrkit/client.ts";
import { Shards } from "../../services/svrkit/failover/shards.ts";
import { monitor, monitorId } from "../../services/svrkit/monitors/monitor.ts";
import { closedLoop, type Measured, openLoop } from "./load.ts";
import type { Options, PhaseName } from "./options.ts";
import { CAMPUSES, counted, type Facts, Replicas } from "./processes.ts";
import { causesOf, type Noted } from "./slowest.ts";
import { StallRecorder } from "./stalls.ts";

const IN_FLIGHT = 256;
const MANY_IN_FLIGHT = 1_000;
const ROWS_PER_CHANGE = 10;
/** The replica that is killed, and how long after the measured seconds have begun. */
const KILLED = 1;
export const KILL_AFTER_MS = 3_000;
export const FAILOVER_SECONDS_MAX = 10;
const FAILOVER_TIMEOUT_MS = 10_000;

/** A phase's load, and what the replicas used for it. */
export interface Phase extends Omit<Measured, "slowest"> {
  readonly operation: string;
  readonly inFlight: number;
  readonly perSecond: number;
  readonly slowestBecause: string;
  readonly cpuUsPerOperation: number;
  /** Of all three replicas, checkpoints of this time included. */
  readonly diskBytesPerOperation: number;
  /** Of those, what was appended to logs. */
  readonly logBytesPerOperation: number;
  readonly fsyncsPerOperation: number;
  /** Records that replicas had synced: a write that was acknowledged has one at two of them at least. */
  readonly syncedRecordsPerOperation: number;
  /** Queries that reads sent, and keys for which another replica told its version. */
  readonly versionQueriesPerOperation: number;
  readonly versionsToldPerOperation: number;
  readonly checkpoints: number;
  readonly hedges: number;
}

export interface Failover extends Omit<Measured, "slowest"> {
  readonly ratePerSecond: number;
  readonly retried: number;
  readonly worstMs: number;
  readonly slowestBecause: string;
}

export type Phases<P> = { [name in PhaseName]?: P };

export interface Ours {
  readonly fillPerSecond: number;
  readonly phases: Phases<Phase>;
  /** Written by one replica from the first put to its stop, last checkpoint included, by payload byte. */
  readonly diskBytesPerPayloadByte: number;
  /** Of those, what was appended to the log. */
  readonly logBytesPerPayloadByte: number;
  readonly failover: Failover | undefined;
}

export async function measureOurs(options: Options, root: string): Promise<Ours> {
  const dir = join(root, "ours");
  const replicas = await Replicas.start(dir);
  const stalls = new StallRecorder();
  try {
    const bench = new Bench(options, replicas, stalls);
    const fillPerSecond = await bench.fill();
    const phases: Phases<Phase> = {};
    for (const [name, start] of bench.phases)
      if (options.phases.includes(name)) phases[name] = await start();
    // The last one, in a group that is warm: what a kill costs, not what a start does.
    const isWanted = options.phases.includes("failover");
    const rate = (phases.put256?.perSecond ?? fillPerSecond) / 2;
    const failover = isWanted ? await bench.failover(rate) : undefined;
    bench.stop();
    const last = await replicas.stop();
    const perPayloadByte = (bytes: number) => round(bytes / last.length / bench.payloadBytes);
    const written = last.reduce((sum, { usage }) => sum + usage.writtenBytes, 0);
    const diskBytesPerPayloadByte = perPayloadByte(written);
    const logBytesPerPayloadByte = perPayloadByte(counted(last, "kvsvr.log_bytes"));
    return { fillPerSecond, phases, diskBytesPerPayloadByte, logBytesPerPayloadByte, failover };
  } finally {
    stalls.stop();
    replicas.killAll();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Load on the group. */
class Bench {
  readonly #options: Options;
  readonly #replicas: Replicas;
  readonly #stalls: StallRecorder;
  readonly #client = new Client({ process: "bench/client", campus: "" });
  readonly #kv: KvClient;
  /** Of all values that were acknowledged, so far. */
  payloadBytes = 0;

  constructor(options: Options, replicas: Replicas, stalls: StallRecorder) {
    this.#options = options;
    this.#replicas = replicas;
    this.#stalls = stalls;
    const callee = this.#client.callee("kvsvr", replicas.addresses, { caller: "bench" });
    // As a service has it: with a map of slots, in which everything is the first group's.
    this.#kv = KvClient.of({ shards: new Shards(), callee: () => callee });
  }

  /** In the order in which they run. */
  get phases(): [PhaseName, () => Promise<Phase>][] {
    const { valueBytes } = this.#options;
    const put = () => this.#put();
    const get = () => this.#get();
    return [
      ["put256", () => this.#phase("put", IN_FLIGHT, put)],
      ["put1000", () => this.#phase("put", MANY_IN_FLIGHT, put)],
      ["get256", () => this.#phase("get", IN_FLIGHT, get)],
      ["change", () => this.#phase("change", IN_FLIGHT, () => this.#change(narrow(valueBytes)))],
      ["wideChange", () => this.#phase("change", IN_FLIGHT, () => this.#change(valueBytes))],
    ];
  }

  /**
   * Writes every key and table once, so that what is measured are changes, not creations: first writes of a
   * key a second.
   */
  async fill(): Promise<number> {
    await this.#put(0, 20_000);
    const { keys, phases, valueBytes } = this.#options;
    const started = performance.now();
    await eachOnce(keys, (i) => this.#put(i));
    const perSecond = Math.round(keys / ((performance.now() - started) / 1_000));
    if (phases.includes("change") || phases.includes("wideChange"))
      await eachOnce(keys / ROWS_PER_CHANGE, (i) => this.#change(narrow(valueBytes), i));
    return perSecond;
  }

  async #put(i = this.#anyKey(), timeoutMs?: number): Promise<void> {
    const { valueBytes } = this.#options;
    const write = { case: "put" as const, value: Buffer.alloc(valueBytes, i & 0xff) };
    const key = { keyspace: Keyspace.ACCOUNT, key: Buffer.from(`key-${i}`) };
    const call = timeoutMs === undefined ? {} : { timeoutMs };
    await this.#kv.write({ key, write, expectedVersion: undefined }, call);
    this.payloadBytes += valueBytes;
  }

  async #get(): Promise<void> {
    const key = { keyspace: Keyspace.ACCOUNT, key: Buffer.from(`key-${this.#anyKey()}`) };
    await this.#kv.get({ key, level: Level.STRONG });
  }

  /** Ten rows of one of so many tables that their rows are as many as the keys. */
  async #change(rowBytes: number, i = this.#anyTable()): Promise<void> {
    const operations = Array.from({ length: ROWS_PER_CHANGE }, (_, n): RowOperation => {
      const value = { row: Buffer.from(`row-${n}`), value: Buffer.alloc(rowBytes, i & 0xff) };
      return { operation: { case: "upsert", value } };
    });
    const key = { keyspace: Keyspace.INBOX, key: Buffer.from(`table-${i}`) };
    await this.#kv.change({ key, change: { guards: [], operations } });
    this.payloadBytes += rowBytes * ROWS_PER_CHANGE;
  }

  #anyTable(): number {
    return Math.floor(this.#anyKey() / ROWS_PER_CHANGE);
  }

  #anyKey(): number {
    return Math.floor(Math.random() * this.#options.keys);
  }

  async #phase(operation: string, inFlight: number, operate: () => Promise<void>): Promise<Phase> {
    const { warmUpMs, seconds } = this.#options;
    this.#stalls.take();
    let first: Facts[] = [];
    const onWarm = async () => {
      first = await this.#replicas.facts();
    };
    const measured = await closedLoop({ warmUpMs, seconds, onWarm, inFlight, operate });
    const last = await this.#replicas.facts();
    const { operations } = measured;
    const per = (total: number) => round(total / operations);
    const sum = (counter: string) => counted(last, counter) - counted(first, counter);
    const used = (of: "cpuUs" | "writtenBytes") =>
      last.reduce((n, facts, i) => n + facts.usage[of] - first[i]!.usage[of], 0);
    const { slowest, ...latencies } = measured;
    return {
      operation,
      inFlight,
      perSecond: Math.round(operations / measured.seconds),
      ...latencies,
      slowestBecause: causesOf(slowest, this.#noted(first, last)),
      cpuUsPerOperation: Math.round(used("cpuUs") / operations),
      diskBytesPerOperation: Math.round(used("writtenBytes") / operations),
      logBytesPerOperation: Math.round(sum("kvsvr.log_bytes") / operations),
      fsyncsPerOperation: per(sum("kvsvr.fsyncs")),
      syncedRecordsPerOperation: per(sum("kvsvr.records_synced")),
      versionQueriesPerOperation: per(sum("kvsvr.version_queries")),
      versionsToldPerOperation: per(sum("kvsvr.versions_told")),
      checkpoints: sum("kvsvr.checkpoints"),
      hedges: sum("kvsvr.accept_hedges"),
    };
  }

  #noted(...facts: readonly (readonly Facts[])[]): Noted[] {
    const noted = CAMPUSES.map((process, i) => {
      return { process, stalls: facts.flatMap((each) => each[i]?.stalls ?? []) };
    });
    return [...noted, { process: "load", stalls: this.#stalls.take() }];
  }

  /** One replica is killed while puts are due at a fixed rate; each is tried for 10 s. */
  async failover(ratePerSecond: number): Promise<Failover> {
    const { warmUpMs } = this.#options;
    const seconds = Math.min(this.#options.seconds, FAILOVER_SECONDS_MAX);
    const before = failovers();
    this.#stalls.take();
    let kill: NodeJS.Timeout | undefined;
    const onWarm = async () => {
      const afterMs = Math.min(KILL_AFTER_MS, (seconds * 1_000) / 2);
      kill = setTimeout(() => this.#replicas.kill(KILLED), afterMs);
    };
    const operate = () => this.#put(this.#anyKey(), FAILOVER_TIMEOUT_MS);
    const measured = await openLoop({ warmUpMs, seconds, onWarm, ratePerSecond, operate });
    clearTimeout(kill);
    const { slowest, ...latencies } = measured;
    return {
      ratePerSecond: Math.round(ratePerSecond),
      ...latencies,
      retried: failovers() - before,
      worstMs: measured.maxMs,
      slowestBecause: causesOf(slowest, this.#noted(await this.#replicas.facts())),
    };
  }

  stop(): void {
    this.#client.stop();
  }
}

/** Bytes of a row, of which ten have the bytes of a value. */
function narrow(valueBytes: number): number {
  return Math.floor(valueBytes / ROWS_PER_CHANGE);
}

/** Writes the first `count`, as many in flight as in the phases. */
async function eachOnce(count: number, write: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const loop = async () => {
    while (next < count) await write(next++);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
}

function failovers(): number {
  return monitor.read(monitorId("svrkit.failovers"));
}

function round(x: number): number {
  return Math.round(x * 1_000) / 1_000;
}
