/** S5: tombstones are forgotten, on real replicas. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Keyspace, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import {
  encodeForgetOutcome,
  ForgetOutcomeOutcome as Outcome,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { toBytes } from "../svrkit/codec.ts";
import { readMonitors } from "../svrkit/monitors/monitor.ts";
import { newOperationId } from "../svrkit/operation-id.ts";
import { REBUILD_FILE } from "./identity.ts";
import type { Replica } from "./replica.ts";
import { startCluster, type TestCluster } from "./testing/cluster.ts";
import { DamagingEngine } from "./testing/damaging-engine.ts";

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

const KEYS = 40;
const ALL = [{ keyspace: Keyspace.ACCOUNT, first: 0, last: 4095 }];
const config = { forgetEveryMs: 100, forgetWindowMs: 0, forgetLeast: 1, checkpointMs: 60_000 };

const key = (i: number) => ({ keyspace: Keyspace.ACCOUNT, key: Buffer.from(`k${i}`) });
const kv = () => cluster!.kv;
const put = (i: number, expectedVersion?: number) =>
  kv().write({ key: key(i), write: { case: "put", value: Buffer.from("v") }, expectedVersion });
const drop = (i: number) =>
  kv().write({ key: key(i), write: { case: "delete", value: true }, expectedVersion: undefined });
const get = (i: number) => kv().get({ key: key(i), level: Level.STRONG });
const replica = (number: number): Replica => cluster!.replica(number).replica!;

async function putAndDrop(): Promise<void> {
  const numbers = Array.from({ length: KEYS }, (_, i) => i);
  await Promise.all(numbers.map((i) => put(i)));
  await Promise.all(numbers.map(drop));
}

/** Of the keys of the tests: what a replica still has something of. */
function namesAt(number: number): string[] {
  const { state } = replica(number);
  return state
    .namesWithin(ALL[0]!)
    .map(({ key: { key } }) => Buffer.from(key).toString())
    .filter((name) => /^k\d+$/.test(name));
}

function untilForgotten(numbers = [0, 1, 2]): Promise<void> {
  const left = () =>
    numbers.map((number) => [namesAt(number).length, replica(number).slots.forgetting?.stage]);
  return expect.poll(left, { timeout: 20_000 }).toEqual(numbers.map(() => [0, undefined]));
}

test("S5: forgotten by all three, and whoever writes next goes on above; also after a restart", async () => {
  cluster = await startCluster({ config });
  await putAndDrop();
  await untilForgotten();
  expect(await get(0)).toMatchObject({ found: false });
  const { version } = await get(0);
  expect(version).toBeGreaterThan(2);
  expect(await put(0, 2)).toEqual({ applied: false, version });
  expect(await put(0, 0)).toEqual({ applied: true, version: version + 1 });
  expect(await put(1, version)).toEqual({ applied: true, version: version + 1 });
  for (const number of [0, 1, 2]) {
    await cluster.stop(number);
    await cluster.start(number);
    await cluster.allServe();
  }
  expect(await get(0)).toMatchObject({ found: true, version: version + 1 });
  expect(await get(2)).toMatchObject({ found: false, version });
  expect(namesAt(1).sort()).toEqual(["k0", "k1"]);
}, 60_000);

test("S5: without all three nothing is forgotten, and nobody waits", async () => {
  cluster = await startCluster({ config });
  await cluster.stop(2);
  await putAndDrop();
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect([namesAt(0).length, namesAt(1).length]).toEqual([KEYS, KEYS]);
  expect(await put(0)).toEqual({ applied: true, version: 3 });
  expect(await drop(0)).toEqual({ applied: true, version: 4 });
  await cluster.start(2);
  await untilForgotten();
  expect((await get(0)).version).toBeGreaterThan(4);
}, 60_000);

test("S5: a damaged key at the proposer ends an attempt, as one elsewhere does", async () => {
  const engines = [0, 1, 2].map(() => new DamagingEngine());
  cluster = await startCluster({
    config: { ...config, forgetLeast: KEYS },
    engine: (number) => engines[number]!,
  });
  await put(KEYS);
  const held = () => replica(0).state.entry(key(KEYS)).register.heldVersion;
  await expect.poll(held).toBe(1);
  // A notice that comes after the start would have the key read into memory again.
  await expect.poll(() => replica(1).outbox(0).backlog + replica(2).outbox(0).backlog).toBe(0);
  // So that the key is in its engine, and in its memory no more.
  await cluster.stop(0);
  await cluster.start(0);
  await cluster.allServe();
  const { state } = replica(0);
  state.damaged.onFound = () => {}; // nothing renews it
  engines[0]!.damage(key(KEYS));
  expect(state.readable(key(KEYS))).toBeUndefined();
  const aborted = () =>
    readMonitors().find(({ name }) => name === "kvsvr.forgetting_aborted")?.value ?? 0;
  const before = aborted();
  await putAndDrop();
  await expect.poll(() => aborted() - before, { timeout: 20_000 }).toBeGreaterThanOrEqual(2);
}, 60_000);

test("S5: an id that was forgotten with its key does not run again", async () => {
  cluster = await startCluster({ config });
  const operationId = newOperationId();
  const write = { case: "delete" as const, value: true };
  const request = { key: key(0), write, expectedVersion: undefined };
  expect(await kv().write(request, { operationId })).toMatchObject({ version: 1 });
  await putAndDrop();
  await untilForgotten();
  await expect(kv().write(request, { operationId })).rejects.toMatchObject({
    code: "OUTCOME_UNKNOWN",
  });
}, 60_000);

test("S5: what is frozen and ended without this replica is released after its restart", async () => {
  cluster = await startCluster({ config: { ...config, forgetEveryMs: 0 } });
  await putAndDrop();
  const floor = { version: 9, forgottenMs: 0 };
  replica(1).slots.freeze({ number: 1, span: ALL[0]!, floor, keys: [] });
  const absent = replica(1).state.entry(key(KEYS));
  expect(replica(1).isFrozen(absent)).toBe(true);
  expect(replica(1).isFrozen(replica(1).state.entry(key(0)))).toBe(false);
  expect(await put(KEYS)).toEqual({ applied: true, version: 1 }); // by the two others
  const row = { keyspace: Keyspace.CONTROL, key: Buffer.from("forgetting/1") };
  const value = toBytes(encodeForgetOutcome, { number: 1, outcome: Outcome.ABORTED });
  await kv().write({ key: row, write: { case: "put", value }, expectedVersion: undefined });
  await cluster.stop(1);
  await cluster.start(1);
  await expect.poll(() => replica(1).slots.forgetting, { timeout: 10_000 }).toBeUndefined();
  expect(replica(1).slots.floorsWithin(ALL)).toEqual([]);
}, 60_000);

test("S5: what is frozen and committed is in force after a restart, wherever the log had it", async () => {
  cluster = await startCluster({ config: { ...config, forgetEveryMs: 0 } });
  await putAndDrop();
  await put(1);
  // A replica that was no part of the quorum hears of the deletions a moment later.
  for (const number of [0, 1, 2]) {
    const versions = () =>
      [0, 2].map((i) => replica(number).state.entry(key(i)).register.heldVersion);
    await expect.poll(versions).toEqual([2, 2]);
  }
  const keys = [0, 2].map((i) => {
    const { registerKey, register } = replica(1).state.entry(key(i));
    return { key: registerKey.toString("base64"), ...register.known };
  });
  const frozen = keys.map(({ key: name, version, digest }) => ({ key: name, version, digest }));
  const floor = { version: 9, forgottenMs: 0 };
  const row = { keyspace: Keyspace.CONTROL, key: Buffer.from("forgetting/1") };
  const value = toBytes(encodeForgetOutcome, { number: 1, outcome: Outcome.COMMITTED });
  await kv().write({ key: row, write: { case: "put", value }, expectedVersion: undefined });
  for (const number of [0, 1, 2]) {
    const { slots } = replica(number);
    slots.freeze({ number: 1, span: ALL[0]!, floor, keys: frozen });
    await cluster.stop(number);
    await cluster.start(number);
  }
  for (const number of [0, 1, 2])
    await expect.poll(() => replica(number).slots.forgetting, { timeout: 20_000 }).toBeUndefined();
  expect(await get(0)).toMatchObject({ found: false, version: 9 });
  expect(await get(1)).toMatchObject({ found: true, version: 3 });
  expect(await get(3)).toMatchObject({ found: false, version: 2 });
  expect(await get(KEYS)).toMatchObject({ found: false, version: 9 });
}, 60_000);

test("S5: a new member has the floors of the others", async () => {
  cluster = await startCluster({ config });
  await putAndDrop();
  await untilForgotten();
  const { version } = await get(0);
  const floors = replica(0).slots.floorsWithin(ALL);
  await cluster.stop(1);
  rmSync(cluster.dirs[1]!, { recursive: true });
  mkdirSync(cluster.dirs[1]!);
  writeFileSync(join(cluster.dirs[1]!, REBUILD_FILE), "");
  await cluster.start(1);
  await expect
    .poll(() => cluster!.running(1)?.replica?.barred, { timeout: 20_000 })
    .toBeUndefined();
  await expect.poll(() => cluster!.running(1)?.replica?.slots.floorsWithin(ALL)).toEqual(floors);
  await cluster.stop(0);
  expect(await put(0)).toEqual({ applied: true, version: version + 1 });
}, 60_000);
