/** A store backed up while it is written, and put into a new group: real replicas on both sides. */
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type Key,
  Keyspace,
  Level,
  type RowOperation,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { ReplicasClient } from "../../services/kvsvr/replicas-client.ts";
import { SeededGroup } from "../../services/kvsvr/seed.ts";
import { startCluster, type TestCluster } from "../../services/kvsvr/testing/cluster.ts";
import { Client } from "../../services/svrkit/client.ts";
import { newOperationId } from "../../services/svrkit/operation-id.ts";
import { Backup } from "./backup.ts";
import { BackupWriter, type Manifest, readGroups, readManifest } from "./backup-files.ts";
import { verifyReplicas } from "./verify.ts";

const FACTS = { begunAt: "", endedAt: "", dc: 1, campuses: ["a", "b", "c"], incarnations: {} };

let root: string;
let client: Client;
let cluster: TestCluster;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "tricampus-backup-"));
  client = new Client({ process: "test", campus: "" });
  cluster = await startCluster();
});
afterAll(async () => {
  client.stop();
  await cluster.close();
  rmSync(root, { recursive: true, force: true });
});

const replicasOf = (those: TestCluster) =>
  new ReplicasClient(client.callee("kvsvr", those.addresses, { caller: "test" }));

async function backUp(name: string): Promise<Manifest> {
  const writer = new BackupWriter(join(root, name));
  const counts = await new Backup({
    store: cluster.kv,
    replicas: replicasOf(cluster),
    writer,
  }).run();
  return writer.finish({ ...FACTS, ...counts });
}

const key = (name: string): Key => ({ keyspace: Keyspace.CONTROL, key: Buffer.from(name) });
const put = (name: string, value: string, operationId = newOperationId()) =>
  cluster.kv.write(
    {
      key: key(name),
      write: { case: "put", value: Buffer.from(value) },
      expectedVersion: undefined,
    },
    { operationId },
  );
const upsert = (row: string, value: Buffer): RowOperation => ({
  operation: { case: "upsert", value: { row: Buffer.from(row), value } },
});
const append = (id: string): RowOperation => ({
  operation: {
    case: "append",
    value: { id: Buffer.from(id), prefix: Buffer.from("n/"), value: Buffer.from(id) },
  },
});
function change(name: string, operations: RowOperation[], mark: [from: number, to: number]) {
  const [from, to] = mark;
  const guard = { name: Buffer.from("mark"), from, to, allowSkip: false };
  const guards = [{ guard: { case: "mark" as const, value: guard } }];
  return cluster.kv.change({ key: key(name), change: { guards, operations } });
}

/** Keys that were written twice, deleted ones, a small table and one of several parts. */
async function fill(): Promise<void> {
  for (let i = 0; i < 60; i++) await put(`k${i}`, `first ${i}`);
  for (let i = 0; i < 60; i += 2) await put(`k${i}`, `second ${i}`);
  for (const name of ["k7", "k8"]) {
    const write = { case: "delete", value: true } as const;
    await cluster.kv.write({ key: key(name), write, expectedVersion: undefined });
  }
  await change("small", [upsert("a", Buffer.from("1")), append("x"), append("y")], [0, 5]);
  await change(
    "small",
    [{ operation: { case: "delete", value: Buffer.from("a") } }, append("z")],
    [5, 9],
  );
  for (let i = 0; i < 12; i++) {
    await change("large", [upsert(`row ${i % 9}`, Buffer.alloc(60_000, i + 1))], [i, i + 1]);
  }
}

async function tableOf(those: TestCluster, name: string) {
  const of = { key: key(name), level: Level.STRONG };
  const head = await those.kv.getRows({ ...of, rows: [], marks: [Buffer.from("mark")] });
  const rows: string[] = [];
  for (let afterVersion = 0; ; ) {
    const page = await those.kv.scanChanges({ ...of, afterVersion, limit: 0 });
    for (const { row, value, version, deleted } of page.rows)
      rows.push([Buffer.from(row), Buffer.from(value).toString("hex"), version, deleted].join(" "));
    afterVersion = page.throughVersion;
    if (!page.more) return { ...head, rows };
  }
}

const stateOf = async (those: TestCluster, name: string) => {
  const { found, value, version } = await those.kv.get({ key: key(name), level: Level.STRONG });
  return { found, value: Buffer.from(value).toString(), version };
};

async function restore(name: string, manifest: Manifest): Promise<TestCluster> {
  const restored = await startCluster({
    seed: async (dirs) => {
      const group = new SeededGroup(dirs);
      for (const { records } of readGroups(join(root, name), manifest)) await group.add(records);
      group.finish(manifest.floors);
      await group.close();
    },
  });
  await restored.allServe();
  return restored;
}

test("backup: what was written before is in it, whatever is written meanwhile", async () => {
  await fill();
  const operationId = newOperationId();
  const once = await put("retried", "once", operationId);
  const names = Array.from({ length: 60 }, (_, i) => `k${i}`).concat("retried");
  const before = await Promise.all(names.map((name) => stateOf(cluster, name)));
  const tables = ["small", "large"];
  const tablesBefore = await Promise.all(tables.map((name) => tableOf(cluster, name)));
  let isWriting = true;
  const writing = (async () => {
    for (let i = 0; isWriting; i++) await put(`busy ${i % 10}`, `value ${i}`);
  })();
  await expect.poll(async () => (await stateOf(cluster, "busy 9")).version).toBeGreaterThan(0);
  const busyBefore = await stateOf(cluster, "busy 3");
  const manifest = await backUp("first");
  isWriting = false;
  await writing;
  const busyAfter = await stateOf(cluster, "busy 3");
  expect(manifest).toMatchObject({ keys: 71, tables: 2 });
  expect(manifest.records).toBeGreaterThan(73); // one of the tables came in parts

  const restored = await restore("first", readManifest(join(root, "first")));
  try {
    expect(await verifyReplicas(replicasOf(restored))).toMatchObject({
      ...{ keys: 73, differences: 0, notCompared: [], compared: ["a", "b", "c"] },
    });
    expect(await Promise.all(names.map((name) => stateOf(restored, name)))).toEqual(before);
    expect(await Promise.all(tables.map((name) => tableOf(restored, name)))).toEqual(tablesBefore);
    const busy = await stateOf(restored, "busy 3");
    expect(busy.version).toBeGreaterThanOrEqual(busyBefore.version);
    expect(busy.version).toBeLessThanOrEqual(busyAfter.version);

    // A retry that comes after the restore gets the first outcome, and does not run again.
    const retry = { key: key("retried"), expectedVersion: undefined } as const;
    const again = { case: "put", value: Buffer.from("twice") } as const;
    expect(await restored.kv.write({ ...retry, write: again }, { operationId })).toEqual(once);
    expect(await stateOf(restored, "retried")).toMatchObject({ value: "once" });

    for (const [i, name] of names.entries()) {
      const write = { case: "put", value: Buffer.from("new") } as const;
      const reply = await restored.kv.write({ key: key(name), write, expectedVersion: undefined });
      expect(reply.version).toBe(before[i]!.version + 1);
    }
    const appended = await restored.kv.change({
      key: key("small"),
      change: { guards: [], operations: [append("x"), append("new")] },
    });
    expect(appended.version).toBe(3);
    expect(appended.results.map(({ number }) => number)).toEqual([1, 4]);
    await restored.stop(1);
    await restored.start(1);
    await expect.poll(() => restored.replica(1).replica?.isServing).toBe(true);
    expect(await verifyReplicas(replicasOf(restored))).toMatchObject({ differences: 0 });
  } finally {
    await restored.close();
  }
}, 60_000);

test("backup: with one replica gone it is whole, with two there is none", async () => {
  await put("alone", "one");
  await cluster.stop(2);
  await put("alone", "two");
  const manifest = await backUp("second");
  const group = [...readGroups(join(root, "second"), manifest)];
  const taken = group.flatMap(({ records }) => records);
  const found = taken.find((record) => Buffer.from(record.key!.key).toString() === "alone");
  expect(found?.state?.version).toBe(2);
  await cluster.stop(1);
  await expect(backUp("third")).rejects.toThrow(/a backup needs two of three replicas/);
  await cluster.start(1);
  await cluster.start(2);
}, 60_000);

test("backup: a damaged one is refused, with the place named", async () => {
  const dir = join(root, "damaged");
  for (let i = 0; i < 12; i++) await put(`big ${i}`, "x".repeat(200_000));
  const manifest = await backUp("damaged");
  const file = join(dir, "data-00001.kv");
  const whole = readFileSync(file);
  const read = () => [...readGroups(dir, readManifest(dir))].length;
  expect(read()).toBeGreaterThan(2);
  const damages: [damage: () => void, says: RegExp][] = [
    [() => writeFileSync(file, flipped(whole, 20)), /data-00001\.kv, group 1 at byte 16: /],
    [
      () => writeFileSync(file, flipped(whole, whole.length - 10)),
      /data-00001\.kv, group \d at byte \d+: its checksum does not match/,
    ],
    [() => truncateSync(file, whole.length - 1), /group \d at byte \d+: the file ends too early/],
    [() => writeFileSync(file, Buffer.concat([whole, Buffer.from([0])])), /longer than it was/],
    [() => writeFileSync(file, flipped(whole, 0)), /its header is not that/],
    [() => rmSync(file), /data-00001\.kv: the file is missing/],
  ];
  for (const [damage, says] of damages) {
    writeFileSync(file, whole);
    damage();
    expect(read).toThrow(says);
    expect(read).toThrow(/^the backup is damaged: .*; use another backup$/);
  }
  writeFileSync(file, whole);
  const path = join(dir, "manifest.json");
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.replace(`"keys": ${manifest.keys}`, `"keys": ${manifest.keys + 1}`));
  expect(read).toThrow(/manifest\.json: its checksum does not match/);
  writeFileSync(path, text);
  expect(read()).toBeGreaterThan(2);
  rmSync(path);
  expect(read).toThrow(/is no backup: there is no manifest\.json/);
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 1;
  return copy;
}

test("backup: an interrupted one leaves nothing, a folder with something in it is refused", () => {
  const dir = join(root, "interrupted");
  const writer = new BackupWriter(dir);
  const record = { key: key("x"), state: undefined };
  writer.add([record], 1_000_000);
  expect(readdirSync(dir)).toEqual(["data-00001.kv"]);
  expect(() => new BackupWriter(dir)).toThrow(/is not empty: a backup goes into a new folder/);
  writer.abandon();
  expect(readdirSync(root)).not.toContain("interrupted");
});

test("seed: what no group decided is refused", async () => {
  const group = () => new SeededGroup(["a", "b", "c"].map((name) => mkdtempSync(join(root, name))));
  const manifest = await backUp("seed");
  const records = [...readGroups(join(root, "seed"), manifest)].flatMap((g) => g.records);
  const large = records.filter(({ key: k }) => Buffer.from(k!.key).toString() === "large");
  expect(large.length).toBeGreaterThan(2);
  const partial = group();
  await partial.add(large.slice(0, -1));
  expect(() => partial.finish()).toThrow(/the last part of key .* is missing/);
  const backwards = group();
  await expect(backwards.add([large[1]!, large[0]!])).rejects.toThrow(/adds nothing/);
  const twice = group();
  const one = records.find(({ key: k }) => Buffer.from(k!.key).toString() === "k1")!;
  await expect(twice.add([one, ...large, one])).rejects.toThrow(/comes twice/);
  await Promise.all([partial, backwards, twice].map((those) => those.close()));
});

test("seed: what is put besides is the key's next version", async () => {
  const manifest = await backUp("put");
  const before = await stateOf(cluster, "k1");
  const seeded = await startCluster({
    seed: async (dirs) => {
      const group = new SeededGroup(dirs);
      for (const { records } of readGroups(join(root, "put"), manifest)) await group.add(records);
      group.finish();
      for (const name of ["k1", "not there"]) await group.put(key(name), Buffer.from("put"));
      await expect(group.put(key("small"), Buffer.from("put"))).rejects.toThrow(/holds a table/);
      await group.close();
    },
  });
  const put = { found: true, value: "put" };
  expect(await stateOf(seeded, "k1")).toEqual({ ...put, version: before.version + 1 });
  expect(await stateOf(seeded, "not there")).toEqual({ ...put, version: 1 });
  const write = { case: "put", value: Buffer.from("next") } as const;
  const next = { key: key("k1"), write, expectedVersion: undefined };
  expect(await seeded.kv.write(next)).toEqual({ applied: true, version: before.version + 2 });
  await seeded.close();
});

test("seed: a folder in which a replica has been is refused", async () => {
  expect(() => new SeededGroup(cluster.dirs)).toThrow(/exists: a replica's disk is not new/);
});

test("backup: what was forgotten stays below the versions that follow, after a restore too", async () => {
  const config = { forgetEveryMs: 100, forgetWindowMs: 0, forgetLeast: 1 };
  const forgetting = await startCluster({ config });
  const gone = { key: key("gone"), expectedVersion: undefined };
  const put = { case: "put", value: Buffer.from("v") } as const;
  const writer = new BackupWriter(join(root, "floors"));
  const { kv } = forgetting;
  await kv.write({ ...gone, write: put });
  await kv.write({ ...gone, write: { case: "delete", value: true } });
  const version = async () => (await kv.get({ key: gone.key, level: Level.STRONG })).version;
  await expect.poll(version, { timeout: 20_000 }).toBe(3);
  const backup = new Backup({ store: kv, replicas: replicasOf(forgetting), writer });
  const manifest = writer.finish({ ...FACTS, ...(await backup.run()) });
  await forgetting.close();
  expect(manifest).toMatchObject({ format: 2, floors: expect.any(Array) });
  const restored = await restore("floors", readManifest(join(root, "floors")));
  try {
    expect(await stateOf(restored, "gone")).toMatchObject({ found: false, version: 3 });
    expect(await restored.kv.write({ ...gone, write: put })).toEqual({ applied: true, version: 4 });
    expect(await verifyReplicas(replicasOf(restored))).toMatchObject({ differences: 0 });
  } finally {
    await restored.close();
  }
}, 60_000);
