/** Comparing three real replicas, of which one is made to know something else. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Keyspace, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import {
  type Body,
  type Decision,
  openDecision,
  sealDecision,
} from "../../services/kvsvr/protocol/decision.ts";
import { NO_OPERATIONS } from "../../services/kvsvr/protocol/operations.ts";
import { ReplicasClient } from "../../services/kvsvr/replicas-client.ts";
import { startCluster, type TestCluster } from "../../services/kvsvr/testing/cluster.ts";
import { flipBits, inLmdb } from "../../services/kvsvr/testing/damaged-table.ts";
import { Client } from "../../services/svrkit/client.ts";
import { PATIENCE, verifyReplicas } from "./verify.ts";

const QUICK = { looks: 3, pauseMs: 20 };
const CONTENTS = { ...PATIENCE, contents: true };

let cluster: TestCluster;
let client: Client;
let replicas: ReplicasClient;
beforeEach(async () => {
  cluster = await startCluster();
  client = new Client({ process: "test", campus: "" });
  await cluster.allServe();
  replicas = new ReplicasClient(client.callee("kvsvr", cluster.addresses, { caller: "test" }));
});
afterEach(async () => {
  client.stop();
  await cluster.close();
});

const key = (name: string) => ({ keyspace: Keyspace.CONTROL, key: Buffer.from(name) });
const put = (name: string, value: string) =>
  cluster.kv.write({
    key: key(name),
    write: { case: "put", value: Buffer.from(value) },
    expectedVersion: undefined,
  });

/** Makes one replica know version 1 of a key, behind the others' backs. */
function tell(replica: number, name: string, value: string): void {
  const state = { deleted: false, value: Buffer.from(value), operations: NO_OPERATIONS };
  const body = { case: "key" as const, value: state };
  const decision = sealDecision(1, { replica: 0, incarnation: 1 }, body);
  const { replica: told } = cluster.replica(replica);
  told!.take(told!.entry(key(name)), { kind: "learn", decision });
}

test("verify: replicas that are written meanwhile are the same", async () => {
  const names = Array.from({ length: 300 }, (_, i) => `k${i}`);
  await Promise.all(names.map((name) => put(name, "one")));
  let isWriting = true;
  const writing = (async () => {
    for (let i = 0; isWriting; i++) await put(names[i % 20]!, `value ${i}`);
  })();
  const verdict = await verifyReplicas(replicas, CONTENTS);
  isWriting = false;
  await writing;
  expect(verdict).toMatchObject({ keys: 300, differences: 0, compared: ["a", "b", "c"] });
  expect(verdict.contentsRead).toBeGreaterThanOrEqual(280);
  expect(verdict.slots).toBeGreaterThan(250);
  expect(verdict.slots).toBeLessThanOrEqual(300);
  expect(verdict.notCompared).toEqual([]);
});

test("verify: two values of one version differ, whatever follows", async () => {
  await put("x", "the same everywhere");
  tell(0, "y", "one");
  tell(1, "y", "one");
  tell(2, "y", "another");
  const verdict = await verifyReplicas(replicas, QUICK);
  expect(verdict).toMatchObject({ keys: 2, differences: 1 });
  const [found] = verdict.shown;
  expect(found).toMatchObject({ standing: "differs" });
  expect(Buffer.from(found!.key.key).toString()).toBe("y");
  const [a, b, c] = found!.answers;
  expect(a).toEqual(b);
  expect(c).toMatchObject({ version: 1, barred: "" });
  expect(c!.digest).not.toBe(a!.digest);
});

test("verify: a replica that stays behind is said to be behind, one that catches up is not", async () => {
  for (const replica of [0, 1]) {
    tell(replica, "late", "one");
    tell(replica, "lost", "one");
  }
  const verifying = verifyReplicas(replicas, { looks: 20, pauseMs: 50 });
  await new Promise((resolve) => setTimeout(resolve, 200));
  tell(2, "late", "one");
  const verdict = await verifying;
  expect(verdict).toMatchObject({ lookedAgain: 2, differences: 1 });
  const [found] = verdict.shown;
  expect(Buffer.from(found!.key.key).toString()).toBe("lost");
  expect(found!.standing).toBe("behind");
  expect(found!.answers.map(({ version }) => version)).toEqual([1, 1, 0]);
});

test("verify: a replica that knows a version and does not hold it is said to lack it", async () => {
  const state = { deleted: false, value: Buffer.from("one"), operations: NO_OPERATIONS };
  const decision = sealDecision(1, { replica: 0, incarnation: 1 }, { case: "key", value: state });
  const { version, digest } = decision;
  for (const number of [0, 1, 2]) {
    const { replica } = cluster.replica(number);
    replica!.take(replica!.entry(key("x")), { kind: "notice", version, digest });
  }
  const verdict = await verifyReplicas(replicas, QUICK);
  expect(verdict).toMatchObject({ keys: 1, lookedAgain: 1, differences: 1 });
  const [found] = verdict.shown;
  expect(found!.standing).toBe("lacks");
  expect(found!.answers.map(({ lacks }) => lacks)).toEqual([true, true, true]);
});

test("verify: a replica that is gone is named, the others are compared", async () => {
  await put("x", "one");
  await cluster.stop(1);
  // The one that is gone may have been the only one to know that it is decided: a read settles that.
  await cluster.kv.get({ key: key("x"), level: Level.STRONG });
  const verdict = await verifyReplicas(replicas, QUICK);
  expect(verdict).toMatchObject({ keys: 1, differences: 0, compared: ["a", "c"] });
  expect(verdict.notCompared).toMatchObject([{ campus: "b" }]);
});

/** A change of a table's rows: "row=value", or "row" to delete it. */
function change(name: string, ...rows: string[]) {
  const operations = rows.map((text) => {
    const [row = "", value] = text.split("=").map((part) => Buffer.from(part));
    const operation =
      value === undefined
        ? { case: "delete" as const, value: row as Uint8Array }
        : { case: "upsert" as const, value: { row: row as Uint8Array, value } };
    return { operation };
  });
  return cluster.kv.change({ key: key(name), change: { operations, guards: [] } });
}

test("verify: a table that a replica has fetched holds what the others' has come to", async () => {
  await change("t", "a=1", "b=1", "c=1");
  await cluster.stop(2);
  await change("t", "a", "d=2");
  await change("t", "b=3", "e=3");
  await cluster.start(2);
  await cluster.allServe();
  const verdict = await verifyReplicas(replicas, CONTENTS);
  expect(verdict).toMatchObject({ keys: 1, contentsRead: 1, differences: 0 });
});

/** A decision whose value, or row, has become another one under the same digest. */
function drifted(body: Body, from: string, to: string): { honest: Decision; other: Decision } {
  const honest = sealDecision(1, { replica: 0, incarnation: 1 }, body);
  const bytes = Buffer.from(honest.bytes);
  bytes.write(to, bytes.indexOf(from));
  return { honest, other: openDecision(bytes) };
}

test("verify: what has drifted from its digest is found when contents are read, and only then", async () => {
  const value = Buffer.from("honest");
  const keyBody = { deleted: false, value, operations: NO_OPERATIONS };
  const row = { row: Buffer.from([1, 7]), value, deleted: false };
  const delta = { rows: [row], lastNumber: 0, operations: undefined, baseDigest: 0, trims: [] };
  const all = {
    key: drifted({ case: "key", value: keyBody }, "honest", "forged"),
    table: drifted({ case: "table", value: delta }, "honest", "forged"),
  };
  await put("sound", "one");
  for (const [name, { honest, other }] of Object.entries(all)) {
    expect(other.digest).toBe(honest.digest);
    for (const number of [0, 1, 2]) {
      const { replica } = cluster.replica(number);
      const decision = number === 1 ? other : honest;
      replica!.take(replica!.entry(key(name)), { kind: "learn", decision });
    }
  }
  expect(await verifyReplicas(replicas, QUICK)).toMatchObject({ keys: 3, differences: 0 });
  const verdict = await verifyReplicas(replicas, { ...QUICK, contents: true });
  expect(verdict).toMatchObject({ keys: 3, contentsRead: 3, differences: 2 });
  const names = verdict.shown.map(({ key: found }) => Buffer.from(found.key).toString());
  expect(names.sort()).toEqual(["key", "table"]);
  // What has left this group meanwhile is not its any more.
  let isMoved = false;
  const moved = {
    isIncluded: () => !isMoved,
    refresh: async () => {
      isMoved = true;
    },
  };
  const after = await verifyReplicas(replicas, { ...QUICK, ...moved, contents: true });
  expect([after.keys, after.differences]).toEqual([3, 0]);
  for (const { standing, answers } of verdict.shown) {
    const [a, b, c] = answers;
    expect(standing).toBe("drifted");
    expect([a!.contents === c!.contents, a!.contents === b!.contents]).toEqual([true, false]);
  }
});

test("verify: a value that drifted at every replica alike is found by its own digest", async () => {
  const value = { deleted: false, value: Buffer.from("honest"), operations: NO_OPERATIONS };
  const { other } = drifted({ case: "key", value }, "honest", "forged");
  for (const number of [0, 1, 2]) {
    const { replica } = cluster.replica(number);
    replica!.take(replica!.entry(key("x")), { kind: "learn", decision: other });
  }
  const verdict = await verifyReplicas(replicas, { ...QUICK, contents: true });
  expect(verdict).toMatchObject({ keys: 1, differences: 1, shown: [{ standing: "drifted" }] });
});

test("verify: a table that cannot be read is said to be unknown, and the others are compared", async () => {
  await change("t", "a=1");
  await put("x", "one");
  await cluster.allServe();
  for (const number of [0, 1, 2]) {
    await cluster.stop(number);
    await inLmdb(cluster.dirs[number]!, ({ rows }) => expect(flipBits(rows, () => true)).toBe(1));
  }
  for (const number of [0, 1, 2]) await cluster.start(number);
  await cluster.allServe();
  const verdict = await verifyReplicas(replicas, { ...QUICK, contents: true });
  expect(verdict).toMatchObject({ keys: 2, contentsRead: 1, differences: 1 });
  const [found] = verdict.shown;
  expect(found!.standing).toBe("unknown");
  for (const { barred } of found!.answers) expect(barred).toContain("a row is damaged here");
});
