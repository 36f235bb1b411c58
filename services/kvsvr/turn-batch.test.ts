import { expect, test } from "vitest";
import { TURN_ITEMS_MAX } from "./limits.ts";
import { TurnBatch } from "./turn-batch.ts";

test("turn batch: one call for everything of a turn, answers in order", async () => {
  const calls: number[][] = [];
  const batch = new TurnBatch<number, number>(async (items) => {
    calls.push(items);
    return items.map((item) => item * 2);
  });
  expect(await Promise.all([1, 2, 3].map((item) => batch.add(item, 1)))).toEqual([2, 4, 6]);
  expect(await batch.add(4, 1)).toBe(8);
  expect(calls).toEqual([[1, 2, 3], [4]]);
});

test("turn batch: bounded in items; a failed call fails its own items only", async () => {
  const sizes: number[] = [];
  const batch = new TurnBatch<number, number>(async (items) => {
    sizes.push(items.length);
    if (items.includes(0)) throw new Error("lost");
    return items;
  });
  const adds = Array.from({ length: TURN_ITEMS_MAX + 1 }, (_, item) => batch.add(item, 1));
  const settled = await Promise.allSettled(adds);
  expect(sizes).toEqual([TURN_ITEMS_MAX, 1]);
  expect(settled.filter((s) => s.status === "rejected")).toHaveLength(TURN_ITEMS_MAX);
  expect(settled.at(-1)).toEqual({ status: "fulfilled", value: TURN_ITEMS_MAX });
});

test("turn batch: an answer too few is an error, not a hang", async () => {
  const batch = new TurnBatch<number, number>(async () => [1]);
  const settled = await Promise.allSettled([batch.add(1, 1), batch.add(2, 1)]);
  expect(settled.map((s) => s.status)).toEqual(["fulfilled", "rejected"]);
});
