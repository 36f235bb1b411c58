/** A log that lost its disk is rebuilt from both others, by a named act, and nothing counted is lost. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LOG_REBUILD_FILE } from "../queuelog/rebuild.ts";
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
  await allVote();
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

/** The disk of a campus's log is another one from now on; it may begin anew. */
async function replaceDisk(name: string): Promise<void> {
  await cluster.stopLog(name, group);
  rmSync(cluster.folder(name, group), { recursive: true });
  await cluster.startLog(name, group);
  expect(cluster.barred(name, group)).toContain("lost its memory");
  await cluster.stopLog(name, group);
  writeFileSync(join(cluster.folder(name, group), LOG_REBUILD_FILE), "");
  await cluster.startLog(name, group);
}

/** Every process is killed; what lies in one campus's log is not there for a start. */
async function comeBackWithout(absent: string): Promise<void> {
  for (const name of CAMPUSES) await cluster.stopCampus(name);
  for (const name of CAMPUSES) {
    await cluster.startCampus(name);
    if (name === absent) await cluster.stopLog(name, group);
  }
}

test("queue: a rebuilt log holds what the lost one held together with one other", async () => {
  await cluster.stopLog("c", group);
  for (const id of ["1", "2"]) await append(id); // in a and b
  for (const name of CAMPUSES) await cluster.stopCampus(name); // nobody has it in memory
  for (const name of CAMPUSES) await cluster.startCampus(name);
  await allVote();
  expect((await cluster.log("c", group).read("s", 0)).entries).toEqual([]);
  await replaceDisk("a");
  await allVote();
  await comeBackWithout("b");
  workers = new Workers(cluster, ledger);
  await append("3");
  await expect.poll(() => ledger.count).toBe(3);
  expect(ledger.read.get("s")).toEqual(["1", "2", "3"]);
  expect(ledger.wrong).toEqual([]);
});

test("queue: it is rebuilt from both others, and waits for the one that is away", async () => {
  await append("1");
  await cluster.stopLog("b", group);
  await replaceDisk("a");
  await new Promise((resolve) => setTimeout(resolve, 700)); // it has tried
  expect(cluster.barred("a", group)).toContain("is being rebuilt");
  await cluster.startLog("b", group);
  await allVote();
  await comeBackWithout("c");
  workers = new Workers(cluster, ledger);
  await expect.poll(() => ledger.count).toBe(1);
});

test("queue: what was on its way before counts nowhere afterwards", async () => {
  await append("1");
  const [standing] = cluster.log("b", group).standings("").standings;
  const { stream, promised } = standing!;
  await replaceDisk("a");
  await allVote();
  const late = {
    slot: 2,
    epoch: undefined,
    void: false,
    payload: Buffer.from("late"),
    id: Buffer.from("late"),
  };
  for (const name of CAMPUSES) {
    const request = { epoch: promised!, entries: [late], settledThrough: 0 };
    const known = await cluster.log(name, group).append({ ...request, stream });
    expect(known.granted, `known stream, log ${name}`).toBe(false);
    // Of a stream that it does not know the new log takes nothing of that time either.
    const unknown = await cluster.log(name, group).append({ ...request, stream: "unknown" });
    expect(unknown.granted, `unknown stream, log ${name}`).toBe(name !== "a");
  }
  await append("2");
  workers = new Workers(cluster, ledger);
  await expect.poll(() => ledger.read.get("s")).toEqual(["1", "2"]);
});

test("queue: the old disk is never welcome again", async () => {
  await append("1");
  const old = { group, campus: "a", segment: 99, bytes: 0 };
  await replaceDisk("a");
  await allVote();
  for (const name of ["b", "c"]) {
    const log = cluster.log(name, group) as unknown as {
      introduced(request: object): Promise<{ refused: string }>;
    };
    const { refused } = await log.introduced({ ...old, diskId: "00".repeat(16) });
    expect(refused).toContain("not the one this group knows");
  }
});
