import { expect, test } from "vitest";
import { Gate } from "./gate.ts";

test("gate: so many at once, in order, a failure frees its place", async () => {
  const gate = new Gate(2);
  let running = 0;
  let most = 0;
  const started: number[] = [];
  const work = (n: number) =>
    gate.run(async () => {
      started.push(n);
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 2));
      running -= 1;
      if (n === 1) throw new Error("lost");
      return n;
    });
  const settled = await Promise.allSettled([0, 1, 2, 3, 4].map(work));
  expect(most).toBe(2);
  expect(started).toEqual([0, 1, 2, 3, 4]);
  expect(settled.map((s) => s.status).filter((s) => s === "rejected")).toHaveLength(1);
});

test("gate: as many places after a rush as before it", async () => {
  const gate = new Gate(2);
  let running = 0;
  let most = 0;
  const work = () =>
    gate.run(async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running -= 1;
    });
  for (let rush = 0; rush < 3; rush++) {
    await Promise.all(Array.from({ length: 6 }, work));
    expect(most).toBe(2);
    most = 0;
  }
});
