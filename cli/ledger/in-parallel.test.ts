import { expect, test } from "vitest";
import { inParallel } from "./in-parallel.ts";

test("in parallel: everything once, never more than the limit at a time", async () => {
  const done: number[] = [];
  let running = 0;
  let most = 0;
  await inParallel([...Array(20).keys()], 3, async (item) => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setTimeout(resolve, item % 3));
    running -= 1;
    done.push(item);
  });
  expect(done.toSorted((a, b) => a - b)).toEqual([...Array(20).keys()]);
  expect(most).toBe(3);
});

test("in parallel: the first failure ends it, and nothing new is begun", async () => {
  const begun: number[] = [];
  const run = inParallel([0, 1, 2, 3, 4, 5], 2, async (item) => {
    begun.push(item);
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (item === 1) throw new Error("one");
  });
  await expect(run).rejects.toThrow("one");
  expect(begun.length).toBeLessThan(6);
});
