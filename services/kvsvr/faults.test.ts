/** Promise 1, S1 and S3 on real replicas whose disks misbehave. */
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Keyspace, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { startCluster, type TestCluster } from "./testing/cluster.ts";
import { type Faults, faultyFiles } from "./testing/faulty-files.ts";

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
const read = async (name: string) => {
  const reply = await cluster!.kv.get({ key: key(name), level: Level.STRONG });
  return Buffer.from(reply.value).toString();
};
const noFaults = (): Faults => ({ syncDelayMs: 0, writeError: undefined });

test("promise 1: with fdatasync delayed by 200 ms nothing is acknowledged sooner", async () => {
  const faults = noFaults();
  cluster = await startCluster({ files: () => faultyFiles(faults) });
  await cluster.kv.write(put("warm", "up"));
  faults.syncDelayMs = 200;
  for (let i = 0; i < 3; i++) {
    const started = performance.now();
    await cluster.kv.write(put("x", `${i}`), { timeoutMs: 10_000 });
    expect(performance.now() - started).toBeGreaterThanOrEqual(199);
  }
});

test("full disks: writes are refused with a clear error, reads go on, writes go on when there is room", async () => {
  const faults = noFaults();
  cluster = await startCluster({ files: () => faultyFiles(faults) });
  for (let i = 0; i < 10; i++) await cluster.kv.write(put(`k${i}`, `${i}`));
  faults.writeError = "ENOSPC";
  await expect(cluster.kv.write(put("new", "value"), { timeoutMs: 1_000 })).rejects.toMatchObject({
    code: "STORAGE_REFUSED",
    message: expect.stringContaining("free space"),
  });
  for (let i = 0; i < 10; i++) expect(await read(`k${i}`)).toBe(`${i}`);
  faults.writeError = undefined;
  expect(await cluster.kv.write(put("k1", "again"))).toMatchObject({ applied: true });
  expect(await read("k1")).toBe("again");
});

test("one full disk: the others serve", async () => {
  const faults = noFaults();
  cluster = await startCluster({
    files: (replica) => faultyFiles(replica === 1 ? faults : noFaults()),
  });
  faults.writeError = "EROFS";
  for (let i = 0; i < 20; i++) await cluster.kv.write(put(`k${i}`, `${i}`));
  for (let i = 0; i < 20; i++) expect(await read(`k${i}`)).toBe(`${i}`);
});

test("S3: a replica whose disk was lost does not vote", async () => {
  cluster = await startCluster();
  await cluster.kv.write(put("x", "one"));
  await cluster.stop(2);
  for (const name of readdirSync(cluster.dirs[2]!))
    rmSync(join(cluster.dirs[2]!, name), { recursive: true });
  await cluster.start(2);
  expect(cluster.replica(2).replica).toBeUndefined();
  expect(await cluster.kv.write(put("x", "two"))).toMatchObject({ applied: true });
  await cluster.stop(1);
  await expect(cluster.kv.write(put("x", "three"), { timeoutMs: 800 })).rejects.toThrow(
    /may not vote|no replica/,
  );
});

test("S3: a replica whose log is damaged in the middle does not vote", async () => {
  cluster = await startCluster();
  // Apart in time, so that later records say that earlier ones were durable.
  for (let i = 0; i < 8; i++) {
    await cluster.kv.write(put("x", `value-${i}`));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const logOf = () =>
    readdirSync(cluster!.dirs[0]!)
      .filter((name) => name.startsWith("log-"))
      .sort()
      .at(-1)!;
  const name = logOf();
  // A stop writes a checkpoint and removes the log: the crash left this one.
  const bytes = readFileSync(join(cluster.dirs[0]!, name));
  await cluster.stop(0);
  rmSync(join(cluster.dirs[0]!, logOf()));
  bytes[40]! ^= 0x20;
  writeFileSync(join(cluster.dirs[0]!, name), bytes);
  await cluster.start(0);
  expect(cluster.replica(0).replica).toBeUndefined();
  expect(await cluster.kv.write(put("x", "still"))).toMatchObject({ applied: true });
});

/** Copies a stopped replica's disk; the returned function puts the copy back. */
function copyDisk(dir: string): () => void {
  const copy = `${dir}.copy`;
  cpSync(dir, copy, { recursive: true });
  return () => {
    rmSync(dir, { recursive: true });
    cpSync(copy, dir, { recursive: true });
  };
}

async function until(isSo: () => boolean): Promise<void> {
  for (let waited = 0; !isSo(); waited += 20) {
    if (waited > 10_000) throw new Error("it never became so");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What both others remember of replica 2. */
function remembered(): { incarnation: number; segment: number; bytes: number }[] {
  return [0, 1].map((other) => {
    const path = join(cluster!.dirs[other]!, "replicas-met.json");
    return JSON.parse(readFileSync(path, "utf8"))[2] ?? { incarnation: 0 };
  });
}

const haveMet = (incarnation: number) =>
  remembered().every((met) => met.incarnation === incarnation);

const barredOf2 = () => cluster!.replica(2).replica?.barred;

test("promise 1: an older copy of a disk put back does not vote, however often it starts", async () => {
  cluster = await startCluster();
  await cluster.kv.write(put("x", "one"));
  await cluster.stop(2);
  const putBack = copyDisk(cluster.dirs[2]!);
  await cluster.start(2);
  await until(() => haveMet(2));
  await cluster.kv.write(put("x", "two"));
  await cluster.stop(2);
  putBack();
  // As incarnation 2, which it is remembered as, then 3, which is beyond it.
  for (let starts = 0; starts < 2; starts++) {
    await cluster.start(2);
    await until(() => /older copy/.test(barredOf2() ?? ""));
    await cluster.stop(2);
  }
  await cluster.start(2);
  await until(() => /older copy/.test(barredOf2() ?? ""));
});

test("promise 1: a copy of a disk taken since its last start, put back, does not vote", async () => {
  cluster = await startCluster();
  await cluster.kv.write(put("x", "one"));
  await until(() => haveMet(1));
  const putBack = copyDisk(cluster.dirs[2]!);
  const { size } = statSync(join(cluster.dirs[2]!, "log-0000000001"));
  for (let i = 0; i < 10; i++) await cluster.kv.write(put("x", `two-${i}`));
  // It tells how far its disk reaches every few seconds.
  await until(() => remembered().every(({ bytes }) => bytes > size));
  await cluster.stop(2);
  putBack();
  await cluster.start(2);
  await until(() => /older copy/.test(barredOf2() ?? ""));
}, 30_000);
