/** A replica that comes back behind: it votes at once, and serves when it has caught up. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Keyspace, Kv, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Replica as ReplicaService } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { type Callee, Client } from "../svrkit/client.ts";
import { startCluster, type TestCluster } from "./testing/cluster.ts";

let cluster: TestCluster;
let client: Client;
let replicas: Callee;

beforeEach(async () => {
  cluster = await startCluster();
  client = new Client({ process: "test", campus: "" });
  replicas = client.callee("kvsvr", cluster.addresses, { caller: "kvsvr" });
});
afterEach(async () => {
  client.stop();
  await cluster.close();
});

const key = (name: string) => ({ keyspace: Keyspace.ACCOUNT, key: Buffer.from(name) });
const put = (name: string, value: string) => ({
  key: key(name),
  write: { case: "put" as const, value: Buffer.from(value) },
  expectedVersion: undefined,
});

/** What replica `number` itself says, without the others' help in the call. */
async function readAt(number: number, name: string, level: Level = Level.STRONG): Promise<string> {
  const request = { key: key(name), level };
  const reply = await replicas.callOne(number, Kv.get, request, { timeoutMs: 2_000 });
  return Buffer.from(reply.value).toString();
}

const isServing = (number: number) => cluster.replica(number).replica?.isServing === true;

test("catch-up: a group that starts as a whole serves at once", async () => {
  await cluster.allServe();
});

test("catch-up: while behind, a replica sends clients away and votes all the same", async () => {
  await cluster.allServe();
  await cluster.kv.write(put("x", "one"));
  const missed = Promise.withResolvers<void>();
  cluster.replica(2).replica!.catchUpUntil(missed.promise);
  await expect(readAt(2, "x")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await expect(readAt(2, "x", Level.ANY)).rejects.toThrow(/catches up/);
  // With replica 1 gone, nothing is decided without the vote of replica 2.
  await cluster.stop(1);
  for (let i = 0; i < 10; i++) {
    expect(await cluster.kv.write(put(`y${i}`, "two"))).toMatchObject({ applied: true });
  }
  expect(isServing(2)).toBe(false);
  missed.resolve();
  expect(await readAt(2, "y9")).toBe("two");
});

test("catch-up: votes are asked of the others while one catches up, and of it again afterwards", async () => {
  await cluster.allServe();
  const { state, peers } = cluster.replica(0).replica!;
  const names = Array.from({ length: 50 }, (_, i) => `v${i}`);
  /** How many of these keys replica 0 would ask replica 2 first for, once it has written again. */
  const prefers = async () => {
    await Promise.all(names.map((name) => cluster.kv.write(put(name, "one"))));
    const firsts = names.map((name) => peers.preference(state.entry(key(name)).registerKey)[0]);
    return firsts.filter((first) => first === 2).length;
  };
  const missed = Promise.withResolvers<void>();
  cluster.replica(2).replica!.catchUpUntil(missed.promise);
  await expect.poll(prefers).toBe(0);
  missed.resolve();
  await expect.poll(prefers).toBeGreaterThan(0);
});

test("catch-up: it is bounded: a replica that cannot catch up serves as well as it can", async () => {
  await cluster.allServe();
  await cluster.kv.write(put("x", "one"));
  cluster.replica(2).replica!.catchUpUntil(new Promise(() => {}), 300);
  await expect(readAt(2, "x")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await expect.poll(() => isServing(2)).toBe(true);
  expect(await readAt(2, "x")).toBe("one");
});

test("catch-up: two that catch up do not leave clients to each other, nor to one that is gone", async () => {
  await cluster.allServe();
  await cluster.kv.write(put("x", "one"));
  const never = new Promise<void>(() => {});
  cluster.replica(1).replica!.catchUpUntil(never);
  cluster.replica(2).replica!.catchUpUntil(never);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect([1, 2].some(isServing)).toBe(false);
  await cluster.stop(0);
  await expect.poll(() => [1, 2].some(isServing)).toBe(true);
  expect(await cluster.kv.write(put("x", "two"))).toMatchObject({ applied: true });
});

test("catch-up: a replica restarted while behind serves nothing old, and holds all when it serves", async () => {
  await cluster.allServe();
  const names = Array.from({ length: 400 }, (_, i) => `k${i}`);
  await Promise.all(names.map((name) => cluster.kv.write(put(name, "old"))));
  await cluster.stop(2);
  await Promise.all(names.map((name) => cluster.kv.write(put(name, "new"))));
  await cluster.start(2);
  const seen = new Set<string>();
  while (!isServing(2)) {
    seen.add(await readAt(2, "k399", Level.ANY).catch(() => "refused"));
  }
  expect([...seen].filter((value) => value === "old")).toEqual([]);
  expect(seen).toContain("refused");
  // Alone it can ask nobody: what it says at `any` level is what it holds.
  await cluster.stop(0);
  await cluster.stop(1);
  const held = await Promise.all(names.map((name) => readAt(2, name, Level.ANY)));
  expect(new Set(held)).toEqual(new Set(["new"]));
});

test("catch-up: a replica that reaches no other sends clients away, except for reads that may be old", async () => {
  await cluster.allServe();
  await cluster.kv.write(put("x", "one"));
  await expect.poll(() => readAt(2, "x", Level.ANY)).toBe("one");
  await cluster.stop(0);
  await cluster.stop(1);
  await expect.poll(() => isServing(2)).toBe(false);
  await expect(readAt(2, "x")).rejects.toThrow(/reaches no other replica/);
  expect(await readAt(2, "x", Level.ANY)).toBe("one");
  await cluster.start(0);
  await expect.poll(() => isServing(2), { timeout: 5_000 }).toBe(true);
  expect(await readAt(2, "x")).toBe("one");
});

test("S8: of a table that is fetched in parts nothing is served before the last, not even as old", async () => {
  await cluster.allServe();
  const { replica } = cluster.replica(2);
  replica!.onBehind = () => {};
  const row = (name: string, version: number) => {
    return { row: Buffer.from(`\x01${name}`), value: Buffer.from("v"), version, deleted: false };
  };
  /** Row "a" was there at every version: written at 1, and again at 3. */
  const takePart = (throughVersion: number, rows: ReturnType<typeof row>[]) => {
    const table = { rows, lastNumber: 0, operations: undefined, throughVersion, trims: [] };
    const body = { case: "table" as const, value: table };
    const told = { version: 3, digest: 33, owner: undefined, barred: "", unavailable: false };
    replica!.take(replica!.entry(key("t")), { kind: "fetched", reply: { ...told, body } });
  };
  const readRow = async () => {
    const names = { rows: [Buffer.from("a")], marks: [] };
    const request = { key: key("t"), level: Level.ANY, ...names };
    const { rows, version } = await replicas.callOne(2, Kv.getRows, request, { timeoutMs: 2_000 });
    return { version, rows: rows.length };
  };
  takePart(2, [row("b", 2)]);
  await expect(readRow()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  takePart(3, [row("a", 3)]);
  expect(await readRow()).toEqual({ version: 3, rows: 1 });
});

test("catch-up: a replica that was cut off for long compares before it serves", async () => {
  await cluster.allServe();
  await cluster.kv.write(put("x", "one"));
  // What a peer says whose pipeline had to drop what it could not send.
  const { replica } = cluster.replica(2);
  const pipeline = { from: 0, epoch: replica!.epoch, items: [], gap: true };
  const repaired = expect.poll(() => isServing(2), { timeout: 5_000 });
  await replicas.callOne(2, ReplicaService.pipeline, pipeline);
  await repaired.toBe(true);
  const gaps: number[] = [];
  replica!.onGap = (peer) => gaps.push(peer);
  await replicas.callOne(2, ReplicaService.pipeline, pipeline);
  expect(gaps).toEqual([0]);
  expect(await readAt(2, "x")).toBe("one");
});

test("catch-up: clients ask a replica that refuses last, and come back to it", async () => {
  await cluster.allServe();
  const { replica } = cluster.replica(2);
  const missed = Promise.withResolvers<void>();
  replica!.catchUpUntil(missed.promise);
  const requireServing = replica!.requireServing.bind(replica);
  let asked = 0;
  replica!.requireServing = (mayBeOld) => {
    asked += 1;
    requireServing(mayBeOld);
  };
  /** How often replica 2 was asked for a write of this key, and of it again. */
  const asksFor = async (name: string) => {
    const before = asked;
    await cluster.kv.write(put(name, "one"));
    const between = asked;
    await cluster.kv.write(put(name, "two"));
    return [between - before, asked - between];
  };
  const preferring: string[] = [];
  for (let i = 0; preferring.length === 0; i++) {
    if ((await asksFor(`z${i}`))[0] === 1) preferring.push(`z${i}`);
  }
  const name = preferring[0]!;
  // Asked once, neither again alone nor for the next write, and later to see whether it serves.
  await expect.poll(() => asksFor(name)).toEqual([1, 0]);
  missed.resolve();
  await expect.poll(() => asksFor(name)).toEqual([1, 1]);
});
