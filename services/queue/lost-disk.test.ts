/** Logs that lost their memory: noticed, kept out, and no acknowledged entry is lost by them. */
import { cpSync, existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { firstGroup } from "./protocol/placement.ts";
import { CAMPUSES, QueueCluster } from "./testing/cluster.ts";
import { Ledger, Workers } from "./testing/consumer.ts";

let cluster: QueueCluster;
let ledger: Ledger;
let workers: Workers | undefined;
const group = firstGroup("s");

beforeEach(async () => {
  cluster = await QueueCluster.start({ tellIntervalMs: 50 });
  ledger = new Ledger();
  workers = undefined;
});

afterEach(async () => {
  await workers?.stop();
  await cluster.stop();
});

function append(id: string) {
  const request = { stream: "s", id: Buffer.from(id), payload: Buffer.from(id) };
  return cluster.clientOutside().append(request, { timeoutMs: 8_000 });
}

const isVoting = (name: string) => cluster.barred(name, group) === undefined;
const allVote = () => expect.poll(() => CAMPUSES.every(isVoting)).toBe(true);

/** Entries that lie in the logs of a and b alone. */
async function settleWithoutC(ids: readonly string[]): Promise<void> {
  await cluster.stopLog("c", group);
  for (const id of ids) await append(id);
}

/** Every process killed; what comes back of the group are the logs of a, which forgot, and of c. */
async function comeBackWithoutB(changeDisk: () => void): Promise<void> {
  for (const name of CAMPUSES) await cluster.stopCampus(name);
  changeDisk();
  for (const name of CAMPUSES) {
    await cluster.startCampus(name);
    if (name === "b") await cluster.stopLog("b", group);
  }
}

test("queue: an emptied disk is noticed, and grants nothing", async () => {
  await allVote();
  await settleWithoutC(["1", "2"]);
  await comeBackWithoutB(() => rmSync(cluster.folder("a", group), { recursive: true }));
  expect(cluster.barred("a", group)).toContain("lost its memory");
  workers = new Workers(cluster, ledger);
  // Were it to vote, this would take the place of an acknowledged entry.
  expect((await append("3")).slot).toBe(0);
  expect(ledger.count).toBe(0);
  await cluster.startLog("b", group);
  await expect.poll(() => ledger.count, { timeout: 8_000 }).toBe(3);
  expect(ledger.read.get("s")).toEqual(["1", "2", "3"]);
  expect(ledger.wrong).toEqual([]);
  expect(isVoting("b") && isVoting("c")).toBe(true);
});

test("queue: an older copy of a disk is noticed, and grants nothing", async () => {
  await allVote();
  await append("1");
  await expect.poll(() => existsSync(join(cluster.folder("b", group), "logs-met.json"))).toBe(true);
  const copy = join(cluster.dir, "copy");
  cpSync(cluster.folder("a", group), copy, { recursive: true });
  await settleWithoutC(["2", "3"]);
  await new Promise((resolve) => setTimeout(resolve, 300)); // b is told how far a's disk goes
  for (const name of CAMPUSES) await cluster.stopCampus(name);
  rmSync(cluster.folder("a", group), { recursive: true });
  cpSync(copy, cluster.folder("a", group), { recursive: true });
  for (const name of ["a", "b"]) await cluster.startCampus(name);
  await expect.poll(() => cluster.barred("a", group)).toContain("an older copy");
  await cluster.startCampus("c");
  workers = new Workers(cluster, ledger);
  await expect.poll(() => ledger.count, { timeout: 8_000 }).toBe(3);
  expect(ledger.read.get("s")).toEqual(["1", "2", "3"]);
});

test("queue: another disk under a known campus is refused by the others", async () => {
  await allVote();
  await append("1");
  await cluster.stopCampus("a");
  const folder = cluster.folder("a", group);
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
  cpSync(cluster.folder("a", 3 - group), folder, { recursive: true });
  await cluster.startCampus("a");
  await expect.poll(() => cluster.barred("a", group)).toContain("not the one this group knows");
});

test("queue: a log that knows nobody yet grants nothing; alone it stays so", async () => {
  await allVote();
  for (const name of CAMPUSES) await cluster.stopCampus(name);
  await cluster.startCampus("a");
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(cluster.barred("a", group)).toContain("has not met");
  await cluster.startCampus("b");
  await expect.poll(() => isVoting("a") && isVoting("b")).toBe(true);
});

test("queue: a log that wrote and was told of is welcome again after it was killed", async () => {
  await allVote();
  await append("1");
  await new Promise((resolve) => setTimeout(resolve, 300)); // the others are told
  await cluster.stopCampus("a");
  await cluster.startCampus("a");
  await allVote();
});
