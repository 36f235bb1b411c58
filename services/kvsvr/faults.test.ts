/** Promise 1, S1 and S3 on real replicas whose disks misbehave. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

test("promise 1: an older copy of a disk put back is noticed and does not vote", async () => {
  cluster = await startCluster();
  await cluster.kv.write(put("x", "one"));
  await cluster.stop(2);
  const path = join(cluster.dirs[2]!, "incarnation");
  const old = readFileSync(path);
  await cluster.start(2);
  await cluster.kv.write(put("x", "two"));
  await new Promise((resolve) => setTimeout(resolve, 200));
  await cluster.stop(2);
  await cluster.start(2);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await cluster.stop(2);
  writeFileSync(path, old);
  await cluster.start(2);
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(cluster.replica(2).replica?.barred).toMatch(/older copy/);
});
