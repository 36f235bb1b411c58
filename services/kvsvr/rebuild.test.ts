/** S3: a replica that lost its memory comes back as a new member of its group. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Keyspace, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Replica } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { Client } from "../svrkit/client.ts";
import { randomBytes } from "../svrkit/random.ts";
import { DISK_ID_BYTES, REBUILD_FILE } from "./identity.ts";
import { ReplicasClient } from "./replicas-client.ts";
import { startCluster, type TestCluster } from "./testing/cluster.ts";

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

const WRITES = 60;

const key = (name: string) => ({ keyspace: Keyspace.ACCOUNT, key: Buffer.from(name) });
const put = (name: string, value: string) => ({
  key: key(name),
  write: { case: "put" as const, value: Buffer.from(value) },
  expectedVersion: undefined,
});
const read = async (name: string) => {
  const reply = await cluster!.kv.get({ key: key(name), level: Level.STRONG });
  return Buffer.from(reply.value).toString();
};

async function writeAll(value: string): Promise<void> {
  const writes = Array.from({ length: WRITES }, (_, i) => put(`k${i}`, `${value}-${i}`));
  await Promise.all(writes.map((write) => cluster!.kv.write(write)));
}

async function expectAll(value: string): Promise<void> {
  for (let i = 0; i < WRITES; i++) expect(await read(`k${i}`)).toBe(`${value}-${i}`);
}

async function until(isSo: () => boolean): Promise<void> {
  for (let waited = 0; !isSo(); waited += 20) {
    if (waited > 15_000) throw new Error("it never became so");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function loseDisk(number: number): void {
  const dir = cluster!.dirs[number]!;
  rmSync(dir, { recursive: true });
  mkdirSync(dir);
}

const permit = (number: number) => writeFileSync(join(cluster!.dirs[number]!, REBUILD_FILE), "");

/** It runs as a full member of the group, in the epoch that its rebuilding began. */
function isRebuilt(number: number): boolean {
  const replica = cluster!.running(number)?.replica;
  return replica !== undefined && replica.epoch > 1 && replica.barred === undefined;
}

test("S3: a lost disk is rebuilt from both others, and then another replica may go", async () => {
  cluster = await startCluster();
  await writeAll("before");
  await cluster.stop(2);
  await writeAll("without");
  loseDisk(2);
  permit(2);
  await cluster.start(2);
  await until(() => isRebuilt(2));
  await writeAll("after");
  await cluster.stop(0);
  await expectAll("after");
  await writeAll("last");
  await expectAll("last");
  expect(cluster.replica(1).replica!.epoch).toBe(2);
});

test("S3: what a new member did not see is served from it and one survivor alone", async () => {
  cluster = await startCluster();
  await writeAll("before");
  await cluster.stop(1);
  loseDisk(1);
  permit(1);
  await cluster.start(1);
  await until(() => isRebuilt(1));
  await cluster.stop(2);
  await expectAll("before");
});

test("S3: a damaged log is set aside, and the replica rebuilt", async () => {
  cluster = await startCluster();
  await writeAll("before");
  const dir = cluster.dirs[0]!;
  const name = readdirSync(dir).find((file) => file.startsWith("log-"))!;
  const log = readFileSync(join(dir, name));
  await cluster.stop(0);
  for (const file of readdirSync(dir).filter((other) => other.startsWith("log-")))
    rmSync(join(dir, file));
  log[0]! ^= 0xff;
  writeFileSync(join(dir, name), log);
  await cluster.start(0);
  expect(cluster.replica(0).replica).toBeUndefined();
  await cluster.stop(0);
  permit(0);
  await cluster.start(0);
  await until(() => isRebuilt(0));
  expect(readdirSync(join(dir, "set-aside-1"))).toContain(name);
  await cluster.stop(1);
  await expectAll("before");
});

test("S3: without both others nobody is admitted; the group goes on in its epoch", async () => {
  cluster = await startCluster();
  await writeAll("before");
  await cluster.stop(1);
  await cluster.stop(2);
  loseDisk(2);
  permit(2);
  await cluster.start(2);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(cluster.running(2)?.replica).toBeUndefined();
  expect(cluster.replica(0).replica!.epoch).toBe(1);
  await cluster.start(1);
  await until(() => isRebuilt(2));
  await expectAll("before");
});

test("S3: the disk that a new member has replaced does not vote any more", async () => {
  cluster = await startCluster();
  await writeAll("before");
  await cluster.stop(2);
  const dir = cluster.dirs[2]!;
  permit(2);
  await cluster.start(2);
  await until(() => isRebuilt(2));
  await cluster.stop(2);
  // Somebody puts the old disk back.
  const aside = join(dir, "set-aside-1");
  const old = readdirSync(aside);
  for (const name of readdirSync(dir).filter((other) => other !== "set-aside-1"))
    rmSync(join(dir, name), { recursive: true });
  for (const name of old) cpSync(join(aside, name), join(dir, name), { recursive: true });
  await cluster.start(2);
  await until(() => /lost its memory/.test(cluster!.replica(2).replica?.barred ?? ""));
  await writeAll("after");
});

test("S3: a new member that dies after one has admitted it leaves the others in one epoch", async () => {
  cluster = await startCluster();
  await writeAll("before");
  await cluster.stop(2);
  loseDisk(2);
  const client = new Client({ process: "test", campus: "" });
  const admission = { epoch: 2, replica: 2, diskId: randomBytes(DISK_ID_BYTES) };
  try {
    const callee = client.callee("kvsvr", cluster.addresses, { caller: "test" });
    const reply = await callee.callOne(
      0,
      Replica.admit,
      { admission, copied: false },
      { timeoutMs: 1_000 },
    );
    expect(reply).toMatchObject({ epoch: 2, rememberedIncarnation: 1 });
  } finally {
    client.stop();
  }
  await until(() => cluster!.replica(1).replica!.epoch === 2);
  await writeAll("without");
  await expectAll("without");
  // Another disk than the one that was admitted: one epoch more.
  permit(2);
  await cluster.start(2);
  await until(() => isRebuilt(2));
  expect(cluster.replica(2).replica!.epoch).toBe(3);
  await cluster.stop(0);
  await expectAll("without");
});

test("S3: an operator compares and fetches after a rebuild, whatever the group's epoch", async () => {
  cluster = await startCluster();
  await writeAll("before");
  await cluster.stop(2);
  loseDisk(2);
  permit(2);
  await cluster.start(2);
  await until(() => isRebuilt(2));
  const client = new Client({ process: "test", campus: "" });
  try {
    const callee = client.callee("kvsvr", cluster.addresses, { caller: "test" });
    const replicas = new ReplicasClient(callee);
    const one = key("k1");
    /** The newest decisions may still be on their way to the third. */
    const same = async () => {
      let keys = 0;
      for await (const { at } of replicas.compare([0, 1, 2]))
        if (new Set(at.map(({ digest }) => digest)).size === 1) keys += 1;
      return keys;
    };
    await expect.poll(same).toBe(WRITES);
    for (const replica of [0, 1, 2]) {
      expect(await replicas.refusal(replica)).toBeUndefined();
      expect(await replicas.query(replica, [one])).toMatchObject([{ barred: "", holds: true }]);
      expect(await replicas.fetch(replica, one)).toHaveLength(1);
    }
  } finally {
    client.stop();
  }
});
