/** S3: a group of which two disks are gone for good goes on from the last one, and from it alone. */
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Keyspace, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { FORCE_FILE, forcesIn } from "./force.ts";
import { REBUILD_FILE } from "./identity.ts";
import { systemFiles } from "./storage/files.ts";
import { startCluster, type TestCluster } from "./testing/cluster.ts";

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

const WRITES = 20;
/** The survivor, and those that are gone. */
const B = 1;
const A = 0;
const C = 2;

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

function loseDisk(number: number): void {
  const dir = cluster!.dirs[number]!;
  rmSync(dir, { recursive: true });
  mkdirSync(dir);
}

async function force(act: string): Promise<void> {
  if (cluster!.running(B) !== undefined) await cluster!.stop(B);
  const permit = { act, atMs: 1, who: "ann", why: "two campuses burnt down" };
  writeFileSync(join(cluster!.dirs[B]!, FORCE_FILE), JSON.stringify(permit));
  await cluster!.start(B);
}

/** Its disk is lost, and it becomes a new member. */
async function rebuild(number: number): Promise<void> {
  if (cluster!.running(number) !== undefined) await cluster!.stop(number);
  loseDisk(number);
  writeFileSync(join(cluster!.dirs[number]!, REBUILD_FILE), "");
  await cluster!.start(number);
  const isFull = () => {
    const replica = cluster!.running(number)?.replica;
    return replica !== undefined && replica.barred === undefined;
  };
  await expect.poll(isFull).toBe(true);
}

/** Everything is at every replica's disk before two of them go. */
async function startWith(value: string): Promise<void> {
  cluster = await startCluster();
  await writeAll(value);
  const heldByB = () => {
    const { state } = cluster!.replica(B).replica!;
    const entries = Array.from({ length: WRITES }, (_, i) => state.entry(key(`k${i}`)));
    return entries.filter(({ register }) => register.heldVersion > 0).length;
  };
  await expect.poll(heldByB).toBe(WRITES);
}

const barredOf = (number: number) => cluster!.running(number)?.replica?.barred;

test("force: serves when another one was rebuilt from the last; then any one may go again", async () => {
  await startWith("before");
  await cluster!.stop(A);
  await cluster!.stop(C);
  await force("one");
  expect(forcesIn(cluster!.dirs[B]!, systemFiles.texts)).toMatchObject([
    { act: "one", who: "ann", why: "two campuses burnt down", epochBefore: 1 },
  ]);
  const alone = cluster!.kv.get({ key: key("k1"), level: Level.STRONG }, { timeoutMs: 500 });
  await expect(alone).rejects.toThrow();
  await rebuild(A);
  await expectAll("before");
  await writeAll("with two");
  await rebuild(C);
  await cluster!.stop(B);
  await expectAll("with two");
  await writeAll("without the keeper");
  await expectAll("without the keeper");
  expect(cluster!.replica(A).replica!.epoch).toBe(cluster!.replica(C).replica!.epoch);
  // One member of three again: what it missed it fetches, and does not impose what it has.
  await cluster!.start(B);
  await expect.poll(() => barredOf(B)).toBeUndefined();
  await cluster!.stop(A);
  await expectAll("without the keeper");
});

test("force: old disks that come back are excluded, also when nobody of the new era is there", async () => {
  await startWith("before");
  const copies = [A, C].map((number) => [number, `${cluster!.dirs[number]}-copy`] as const);
  for (const [number, copy] of copies) {
    await cluster!.stop(number);
    cpSync(cluster!.dirs[number]!, copy, { recursive: true });
  }
  await force("one");
  await rebuild(A);
  await writeAll("new era");
  await cluster!.stop(A);
  const isRefused = (number: number) => {
    const opened = cluster!.running(number);
    return opened?.replica === undefined || /no member/.test(opened.replica.barred ?? "");
  };
  for (const [number, copy] of copies) {
    rmSync(cluster!.dirs[number]!, { recursive: true });
    cpSync(copy, cluster!.dirs[number]!, { recursive: true });
    await cluster!.start(number);
    await expect.poll(() => isRefused(number)).toBe(true);
  }
  expect(barredOf(B)).toBeUndefined();
  await cluster!.stop(B);
  for (const number of [A, C]) {
    await cluster!.stop(number);
    await cluster!.start(number);
    expect(cluster!.running(number)!.replica).toBeUndefined();
  }
});

test("force: a new member whose disk is lost again is rebuilt from the keeper alone", async () => {
  await startWith("before");
  await cluster!.stop(A);
  await cluster!.stop(C);
  await force("one");
  await rebuild(A);
  await writeAll("with two");
  await rebuild(A);
  await expectAll("with two");
  // The same act asked for again, as after a crash, is no second one.
  const { epoch } = cluster!.replica(B).replica!;
  await force("one");
  expect(cluster!.replica(B).replica!.epoch).toBe(epoch);
  await rebuild(C);
  await cluster!.stop(B);
  await expectAll("with two");
});

test("force: an older copy of the keeper's disk is noticed by who was rebuilt from it", async () => {
  await startWith("before");
  await cluster!.stop(A);
  await cluster!.stop(C);
  await force("one");
  await rebuild(A);
  await cluster!.stop(B);
  const dir = cluster!.dirs[B]!;
  cpSync(dir, `${dir}-copy`, { recursive: true });
  await cluster!.start(B);
  await writeAll("after the copy");
  await cluster!.stop(B);
  rmSync(dir, { recursive: true });
  cpSync(`${dir}-copy`, dir, { recursive: true });
  await cluster!.start(B);
  await expect.poll(() => barredOf(B)).toMatch(/older copy/);
});

test("force: what the survivor knew of and did not hold goes on from what it holds", async () => {
  await startWith("before");
  const { replica } = cluster!.replica(B);
  await cluster!.stop(A);
  await cluster!.stop(C);
  const { register } = replica!.state.entry(key("k3"));
  const notice = { version: register.known.version + 4, digest: 77 };
  replica!.take(replica!.state.entry(key("k3")), { kind: "notice", ...notice });
  await force("one");
  await rebuild(A);
  await expectAll("before");
  const { version } = await cluster!.kv.get({ key: key("k3"), level: Level.STRONG });
  expect(version).toBe(notice.version + 1);
});
