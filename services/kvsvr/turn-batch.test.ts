import { expect, test } from "vitest";
import { TURN_BYTES_MAX, TURN_ITEMS_MAX } from "./limits.ts";
import { TurnBatch } from "./turn-batch.ts";

const batchOf = (send: (items: number[]) => Promise<number[]>, peer = 0) =>
  new TurnBatch<number, number>(peer, async (items, tell) => {
    for (const [i, answer] of (await send(items)).entries()) tell(i, answer);
  });

const ask = (batch: TurnBatch<number, number>, item: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const asker = {
      answered: (_peer: number, answer: number) => resolve(answer),
      failed: (_peer: number, error: unknown) => reject(error),
    };
    batch.add(item, 1, asker);
  });

test("turn batch: one call for everything of a turn, answers in order", async () => {
  const calls: number[][] = [];
  const batch = batchOf(async (items) => {
    calls.push(items);
    return items.map((item) => item * 2);
  });
  expect(await Promise.all([1, 2, 3].map((item) => ask(batch, item)))).toEqual([2, 4, 6]);
  expect(await ask(batch, 4)).toBe(8);
  expect(calls).toEqual([[1, 2, 3], [4]]);
});

test("turn batch: bounded in items; a failed call fails its own items only", async () => {
  const sizes: number[] = [];
  const batch = batchOf(async (items) => {
    sizes.push(items.length);
    if (items.includes(0)) throw new Error("lost");
    return items;
  });
  const adds = Array.from({ length: TURN_ITEMS_MAX + 1 }, (_, item) => ask(batch, item));
  const settled = await Promise.allSettled(adds);
  expect(sizes).toEqual([TURN_ITEMS_MAX, 1]);
  expect(settled.filter((s) => s.status === "rejected")).toHaveLength(TURN_ITEMS_MAX);
  expect(settled.at(-1)).toEqual({ status: "fulfilled", value: TURN_ITEMS_MAX });
});

test("turn batch: an answer too few is an error, not a hang", async () => {
  const batch = batchOf(async () => [1]);
  const settled = await Promise.allSettled([ask(batch, 1), ask(batch, 2)]);
  expect(settled.map((s) => s.status)).toEqual(["fulfilled", "rejected"]);
});

test("turn batch: answers come in pieces, in any order; what fails later hurts none that was told", async () => {
  let fail: () => void = () => {};
  const batch = new TurnBatch<number, number>(0, (_items, tell) => {
    setTimeout(() => tell(2, 30), 5);
    setTimeout(() => tell(0, 10), 10);
    setTimeout(() => tell(0, 11), 12);
    return new Promise((_, reject) => {
      fail = () => reject(new Error("lost"));
    });
  });
  const [first, second, third] = [1, 2, 3].map((item) => ask(batch, item));
  expect([await first, await third]).toEqual([10, 30]);
  fail();
  await expect(second).rejects.toThrow("lost");
});

test("turn batch: bounded in bytes, counted anew for each call; askers hear who answered", async () => {
  const calls: number[][] = [];
  const batch = batchOf(async (items) => {
    calls.push(items);
    return items;
  }, 2);
  const peers: number[] = [];
  const asker = { answered: (peer: number) => peers.push(peer), failed: () => peers.push(-1) };
  const half = TURN_BYTES_MAX / 2;
  for (const [item, bytes] of [half, half, half, 1].entries()) batch.add(item, bytes, asker);
  await expect.poll(() => peers).toEqual([2, 2, 2, 2]);
  expect(calls).toEqual([
    [0, 1],
    [2, 3],
  ]);
});
