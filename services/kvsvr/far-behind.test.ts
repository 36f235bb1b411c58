/** A replica that is far behind: it catches up key by key of its peers' listings, in bounded memory. */
import { afterEach, expect, test } from "vitest";
import { Keyspace, Kv, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Replica as ReplicaService } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { Client } from "../svrkit/client.ts";
import { callsOf } from "../svrkit/monitors/calls.ts";
import type { EngineEntry, StateEngine } from "./storage/engine.ts";
import { openLmdb } from "./storage/lmdb.ts";
import { startCluster, type TestCluster } from "./testing/cluster.ts";

const MIB = 1024 * 1024;
const KEYS = 4_000;
const VALUE_BYTES = 1_000;
const BEHIND = 2;
/** Others may have the machine: what is asked comes late then, and how late is no expectation. */
const limits = { timeoutMs: 30_000 };
const AT_ONCE = 500;

let cluster: TestCluster;
let gate = Promise.withResolvers<void>();
afterEach(async () => {
  gate.resolve();
  await cluster.close();
});

const key = (name: string) => ({ keyspace: Keyspace.ACCOUNT, key: Buffer.from(name) });
const put = (name: string, value: Buffer) =>
  cluster.kv.write(
    { key: key(name), write: { case: "put", value }, expectedVersion: undefined },
    limits,
  );

/** Writes keys while one replica is away, and lets the others forget what they would send it. */
async function missMany(): Promise<void> {
  await cluster.allServe();
  await cluster.stop(BEHIND);
  const value = Buffer.alloc(VALUE_BYTES, 7);
  for (let at = 0; at < KEYS; at += AT_ONCE)
    await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => put(`k${at + i}`, value)));
  const untold = () =>
    cluster.replica(0).replica!.outbox(1).backlog + cluster.replica(1).replica!.outbox(0).backlog;
  await expect.poll(untold, { timeout: 30_000 }).toBe(0);
  for (const other of [0, 1]) {
    await cluster.stop(other);
    await cluster.start(other);
    await cluster.allServe();
  }
}

const servesAgain = () =>
  expect.poll(() => cluster.replica(BEHIND).replica?.isServing, { timeout: 60_000 }).toBe(true);

/** How many of the keys the replica holds when the others are gone. */
async function heldAlone(): Promise<number> {
  await cluster.stop(0);
  await cluster.stop(1);
  const client = new Client({ process: "test", campus: "" });
  const replicas = client.callee("kvsvr", cluster.addresses, { caller: "kvsvr" });
  const isHeld = async (i: number) => {
    const request = { key: key(`k${i}`), level: Level.ANY };
    const { value } = await replicas.callOne(BEHIND, Kv.get, request, limits);
    return value.length === VALUE_BYTES;
  };
  let held = 0;
  for (let at = 0; at < KEYS; at += AT_ONCE) {
    const some = await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => isHeld(at + i)));
    held += some.filter(Boolean).length;
  }
  client.stop();
  return held;
}

function counted(method: string): number {
  return callsOf(method).arrived;
}

test("far behind: a replica catches up in bounded memory while the others serve", async () => {
  cluster = await startCluster({ config: { cacheBytes: MIB, checkpointBytes: MIB } });
  await missMany();
  const asked = counted("Replica/FetchMany");
  const askedAlone = counted("Replica/Fetch");
  await cluster.start(BEHIND);
  let worst = { cleanBytes: 0, dirtyBytes: 0 };
  let writes = 0;
  let isOver = false;
  const load = async () => {
    for (; !isOver; writes++) {
      await put(`busy${writes % 100}`, Buffer.from("new"));
      const { cleanBytes, dirtyBytes } = cluster.replica(BEHIND).replica!.state.memory;
      worst = {
        cleanBytes: Math.max(worst.cleanBytes, cleanBytes),
        dirtyBytes: Math.max(worst.dirtyBytes, dirtyBytes),
      };
    }
  };
  const loads = Promise.all([load(), load(), load()]);
  await servesAgain();
  isOver = true;
  await loads;
  expect(writes).toBeGreaterThan(10);
  // What is missing takes ten times as much as either may.
  expect(worst.cleanBytes).toBeLessThanOrEqual(1.5 * MIB);
  expect(worst.dirtyBytes).toBeLessThan(4 * MIB);
  const calls = counted("Replica/FetchMany") - asked;
  expect(calls).toBeGreaterThanOrEqual((KEYS * VALUE_BYTES) / (300 * 1024));
  expect(counted("Replica/Fetch") - askedAlone).toBeLessThan(KEYS / 10);
  expect(await heldAlone()).toBe(KEYS);
}, 200_000);

/** LMDB behind commits that wait for a gate. */
function gated(engine: StateEngine, gate: Promise<void>): StateEngine {
  return {
    register: (registerKey) => engine.register(registerKey),
    row: (registerKey, row) => engine.row(registerKey, row),
    rows: (registerKey, range) => engine.rows(registerKey, range),
    changes: (registerKey, after) => engine.changes(registerKey, after),
    changeNames: (registerKey, from, limit) => engine.changeNames(registerKey, from, limit),
    tableAfter: (registerKey) => engine.tableAfter(registerKey),
    hasRows: (registerKey) => engine.hasRows(registerKey),
    keys: (after, limit) => engine.keys(after, limit),
    commit: (entries: readonly EngineEntry[]) => gate.then(() => engine.commit(entries)),
    close: () => engine.close(),
  };
}

test("far behind: catching up waits for checkpoints that are behind, so clients are not refused", async () => {
  gate = Promise.withResolvers<void>();
  let isGated = false;
  cluster = await startCluster({
    config: { cacheBytes: MIB, checkpointBytes: MIB },
    engine: (replica, path) =>
      isGated && replica === BEHIND ? gated(openLmdb(path), gate.promise) : openLmdb(path),
  });
  await missMany();
  isGated = true;
  await cluster.start(BEHIND);
  const { state } = cluster.replica(BEHIND).replica!;
  await expect.poll(() => state.isPressed, { timeout: 30_000 }).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(state.refusing).toBeUndefined();
  expect(state.memory.dirtyBytes).toBeLessThan(3 * MIB);
  expect(cluster.replica(BEHIND).replica?.isServing).toBe(false);
  gate.resolve();
  await servesAgain();
  expect(await heldAlone()).toBe(KEYS);
}, 200_000);

test("far behind: an answer of many states is bounded, in order, and says what is held of each key", async () => {
  cluster = await startCluster();
  await cluster.allServe();
  const names = Array.from({ length: 20 }, (_, i) => `large${i}`);
  await Promise.all(names.map((name) => put(name, Buffer.alloc(40_000, 7))));
  const row = { row: Buffer.from("r"), value: Buffer.from("one") };
  const operations = [{ operation: { case: "upsert" as const, value: row } }];
  const change = { guards: [], operations };
  await cluster.kv.change({ key: key("table"), change });
  const client = new Client({ process: "test", campus: "" });
  const replicas = client.callee("kvsvr", cluster.addresses, { caller: "kvsvr" });
  const fetchMany = (wanted: readonly string[], aboveVersion = 0, epoch = 1) =>
    replicas.callOne(0, ReplicaService.fetchMany, {
      wanted: wanted.map((name) => ({ key: key(name), aboveVersion })),
      epoch,
    });
  await expect.poll(async () => (await fetchMany(["table"])).states[0]?.version).toBe(1);
  const first = await fetchMany(["table", "absent", ...names]);
  expect(first.states[0]?.body?.case).toBe("table");
  expect(first.states[1]).toMatchObject({ unavailable: true, version: 0 });
  expect(first.states.length).toBeLessThan(2 + 8);
  const rest = await fetchMany(names.slice(first.states.length - 2));
  expect(rest.states.length).toBeGreaterThan(0);
  expect((await fetchMany(["table"], 1)).states[0]).toMatchObject({
    unavailable: true,
    version: 1,
  });
  const other = await fetchMany(["table"], 0, 2);
  expect(other.states).toEqual([]);
  expect(other.barred).toMatch(/epoch/);
  client.stop();
});
