/** S3 for one key: a damaged record on real replicas. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Keyspace, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { sealDecision } from "./protocol/decision.ts";
import type { Replica } from "./replica.ts";
import { registerKey } from "./storage/record.ts";
import { startCluster, type TestCluster } from "./testing/cluster.ts";
import { inLmdb } from "./testing/damaged-table.ts";
import { DamagingEngine } from "./testing/damaging-engine.ts";

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

const key = (name: string) => ({ keyspace: Keyspace.ACCOUNT, key: Buffer.from(name) });
const put = (name: string, value: string) => ({
  key: key(name),
  write: { case: "put" as const, value: Buffer.from(value) },
  expectedVersion: undefined,
});
const patience = { timeout: 30_000 };
const limits = { timeoutMs: 20_000 };
const write = (name: string, value: string) => cluster!.kv.write(put(name, value), limits);
const read = async (name: string) => {
  const reply = await cluster!.kv.get({ key: key(name), level: Level.STRONG }, limits);
  return Buffer.from(reply.value).toString();
};
const replica = (number: number): Replica => cluster!.replica(number).replica!;
const heldAt = (number: number, name: string) =>
  replica(number).state.readable(key(name))?.register.heldVersion;

/** A cluster whose replica 0 is down, and finds `x` damaged; `inLog`: with records about it in its log. */
async function damaged(inLog: boolean): Promise<void> {
  const engines = [0, 1, 2].map(() => new DamagingEngine());
  cluster = await startCluster({ engine: (number) => engines[number]! });
  await write("x", "one");
  await expect.poll(() => heldAt(0, "x"), patience).toBe(1);
  await replica(0).state.checkpoint();
  await write("x", "two");
  await write("y", "two");
  // All of them: what one alone knows to be decided nobody asks about again.
  await expect.poll(() => [0, 1, 2].map((n) => heldAt(n, "x")), patience).toEqual([2, 2, 2]);
  await expect.poll(() => heldAt(0, "y"), patience).toBe(1);
  const { state } = replica(0);
  await state.durable(state.logged);
  const dir = cluster.dirs[0]!;
  const logs = () => readdirSync(dir).filter((name) => name.startsWith("log-"));
  const before = logs().map((name) => [name, readFileSync(join(dir, name))] as const);
  await cluster.stop(0);
  if (inLog) {
    // A stop writes a checkpoint and removes the log: a crash leaves this one.
    for (const name of logs()) rmSync(join(dir, name));
    for (const [name, bytes] of before) writeFileSync(join(dir, name), bytes);
  }
  engines[0]!.damage(key("x"));
}

test.each([true, false])(
  "S3: a damaged key is copied from both others, and voted on again (records in the log: %s)",
  async (inLog) => {
    await damaged(inLog);
    await write("x", "three");
    await cluster!.start(0);
    await expect.poll(() => heldAt(0, "x"), patience).toBe(3);
    await cluster!.allServe();
    await cluster!.stop(1);
    // Both votes that there are.
    expect(await write("x", "four")).toMatchObject({ applied: true });
    expect(await read("x")).toBe("four");
    await expect.poll(() => heldAt(0, "x"), patience).toBe(4);
  },
  120_000,
);

test.each([["read"], ["listed"]])(
  "S3: a key whose register was lost with its name is not absent: it is renewed when it is %s",
  async (how) => {
    cluster = await startCluster();
    await cluster.allServe();
    await write("x", "one");
    await expect.poll(() => heldAt(0, "x"), patience).toBe(1);
    await cluster.stop(0);
    await inLmdb(cluster.dirs[0]!, ({ registers }) => registers.removeSync(registerKey(key("x"))));
    // While they serve, comparing lists it at once.
    for (const other of [1, 2]) await cluster.stop(other);
    await cluster.start(0);
    const { state } = replica(0);
    if (how === "read") expect(() => state.entry(key("x"))).toThrow("a register is damaged here");
    else state.list(undefined, 1_000);
    expect(state.damaged.keys.map((one) => Buffer.from(one.key).toString())).toEqual(["x"]);
    for (const other of [1, 2]) await cluster.start(other);
    await expect.poll(() => heldAt(0, "x"), patience).toBe(1);
    await cluster.allServe();
    await cluster.stop(1);
    expect(await read("x")).toBe("one");
    expect(await write("x", "two")).toMatchObject({ applied: true });
  },
  120_000,
);

test("S3: without both others a damaged key stays as it is, and every other one is served", async () => {
  await damaged(true);
  await cluster!.stop(1);
  await cluster!.start(0);
  await expect
    .poll(() => write("y", "three").catch(String), patience)
    .toMatchObject({
      applied: true,
    });
  await expect.poll(() => heldAt(0, "y"), patience).toBeGreaterThan(1);
  expect(heldAt(0, "x")).toBeUndefined();
  await expect(cluster!.kv.write(put("x", "three"), { timeoutMs: 1_500 })).rejects.toThrow();
  await cluster!.start(1);
  await expect.poll(() => heldAt(0, "x"), patience).toBeGreaterThanOrEqual(2);
  expect(await write("x", "four")).toMatchObject({ applied: true });
  expect(await read("x")).toBe("four");
}, 120_000);

test("a stop does not wait until a key that cannot be copied yet is tried again", async () => {
  await damaged(true);
  for (const other of [1, 2]) await cluster!.stop(other);
  await cluster!.start(0);
  expect(heldAt(0, "x")).toBeUndefined();
  // Just asked in vain, and resting.
  await new Promise((resolve) => setTimeout(resolve, 550));
  const startedMs = performance.now();
  await cluster!.stop(0);
  expect(performance.now() - startedMs).toBeLessThan(300);
}, 60_000);

test("S1: a key that both others hold differently at one version ends the process", async () => {
  const engines = [0, 1, 2].map(() => new DamagingEngine());
  const failures: string[] = [];
  cluster = await startCluster({
    engine: (number) => engines[number]!,
    fatal: ({ message }) => failures.push(message),
  });
  await cluster.allServe();
  for (const number of [1, 2]) {
    const { state } = replica(number);
    const body = { deleted: false, value: Buffer.from(`${number}`), operations: undefined };
    const owner = { replica: 1, incarnation: 1 };
    const decision = sealDecision(1, owner, { case: "key", value: body });
    state.take(state.entry(key("x")), { kind: "learn", decision });
  }
  engines[0]!.damage(key("x"));
  expect(heldAt(0, "x")).toBeUndefined();
  const told = expect.stringContaining("S2: two digests of one decided version");
  await expect.poll(() => failures, patience).toEqual([told]);
}, 60_000);
