/** The queue's promises on three campuses: M3, and promise 1 of the design. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { firstGroup } from "./protocol/placement.ts";
import { CAMPUSES, QueueCluster } from "./testing/cluster.ts";
import { Ledger, Workers } from "./testing/consumer.ts";

let cluster: QueueCluster;
let ledger: Ledger;
let workers: Workers | undefined;

beforeEach(async () => {
  cluster = await QueueCluster.start();
  ledger = new Ledger();
  workers = undefined;
});

afterEach(async () => {
  await workers?.stop();
  await cluster.stop();
});

const bytes = (text: string) => Buffer.from(text);

function append(stream: string, id: string) {
  const request = { stream, id: bytes(id), payload: bytes(`payload of ${id}`) };
  return cluster.clientOutside().append(request, { timeoutMs: 8_000 });
}

async function until(holds: () => boolean, withinMs: number): Promise<number> {
  const start = performance.now();
  while (!holds()) {
    if (performance.now() - start > withinMs) throw new Error(`not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return performance.now() - start;
}

const numbers = (n: number) => Array.from({ length: n }, (_, i) => `${i + 1}`);

test("queue: entries get slots without gaps and are delivered in their order", async () => {
  workers = new Workers(cluster, ledger);
  const slots = await Promise.all(numbers(50).map((id) => append("s", id)));
  expect(slots.map(({ slot }) => slot).sort((a, b) => a - b)).toEqual(numbers(50).map(Number));
  await until(() => ledger.count === 50, 1_000);
  expect(ledger.wrong).toEqual([]);
});

test("queue: an id that is still in the stream is not appended again", async () => {
  const [first, again] = await Promise.all([append("s", "x"), append("s", "x")]);
  expect(again.slot).toBe(first.slot);
  expect((await append("s", "x")).slot).toBe(first.slot);
  expect((await append("s", "y")).slot).toBe(first.slot + 1);
});

test("queue: one log of three may be missing, and miss entries", async () => {
  workers = new Workers(cluster, ledger);
  const group = firstGroup("s");
  await append("s", "1");
  await cluster.stopLog("b", group);
  await append("s", "2");
  await cluster.startLog("b", group);
  await cluster.stopLog("c", group);
  expect((await append("s", "3")).slot).toBe(3);
  await until(() => ledger.count === 3, 1_000);
});

test("queue: everything unconsumed is delivered after all processes were killed at once", async () => {
  await Promise.all(numbers(20).map((id) => append("s", id)));
  for (const name of CAMPUSES) await cluster.stopCampus(name);
  for (const name of CAMPUSES) await cluster.startCampus(name);
  workers = new Workers(cluster, ledger);
  await until(() => ledger.count === 20, 3_000);
  expect((await append("s", "21")).slot).toBe(21);
});

test("queue: a dead campus's streams are adopted without a new append", async () => {
  for (const id of numbers(10)) await append(`s${id}`, id);
  await cluster.stopCampus("a");
  workers = new Workers(cluster, ledger);
  expect(await until(() => ledger.count === 10, 3_000)).toBeLessThan(2_500);
  expect(ledger.wrong).toEqual([]);
});

test("queue: a lost group of three is left, entries and all, and order is kept", async () => {
  const group = firstGroup("s");
  for (const id of numbers(5)) await append("s", id);
  await cluster.stopLog("a", group);
  await cluster.stopLog("b", group);
  expect((await append("s", "6")).slot).toBe(6);
  await cluster.stopLog("c", group);
  expect((await append("s", "7")).slot).toBe(7);
  workers = new Workers(cluster, ledger);
  await until(() => ledger.count === 7, 1_000);
  expect(ledger.read.get("s")).toEqual(numbers(7));
});

test("queue: a writer that does not know the lost group's end goes on, and that end comes first", async () => {
  const group = firstGroup("s");
  for (const id of numbers(5)) await append("s", id);
  await cluster.stopLog("a", group);
  await cluster.stopLog("b", group);
  for (const name of CAMPUSES) {
    await cluster.stopCampus(name);
    await cluster.startCampus(name);
    await cluster.stopLog(name, group);
  }
  expect((await append("s", "6")).slot).toBe(0);
  expect((await append("s", "5")).slot).toBe(0);
  workers = new Workers(cluster, ledger);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(ledger.count).toBe(0);
  await cluster.startLog("b", group);
  await cluster.startLog("c", group);
  await until(() => ledger.count === 6, 3_000);
  expect((await append("s", "7")).slot).toBe(8);
  await until(() => ledger.count === 7, 1_000);
  expect(ledger.read.get("s")).toEqual(numbers(7));
  expect(ledger.wrong).toEqual([]);
});
