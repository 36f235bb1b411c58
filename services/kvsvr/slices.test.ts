import { expect, test } from "vitest";
import { monotonicMs } from "../svrkit/call.ts";
import { Slices } from "./slices.ts";

function work(ms: number): void {
  const startedMs = monotonicMs();
  while (monotonicMs() - startedMs < ms);
}

test("slices: between two of them everything that waited has its turn", async () => {
  const slices = new Slices();
  const turns: string[] = [];
  const worker = async () => {
    for (let i = 0; i < 3; i++) {
      while (!slices.isOver) work(1);
      turns.push("slice");
      await slices.next();
    }
  };
  const others = async () => {
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      turns.push("other");
    }
  };
  await Promise.all([others(), worker()]);
  expect(turns).toEqual(["slice", "other", "slice", "other", "slice", "other"]);
});

test("slices: what is worked and what is waited are told apart", async () => {
  const slices = new Slices();
  work(5);
  setImmediate(() => work(20));
  await slices.next();
  work(5);
  slices.end();
  expect(slices.workedMs).toBeGreaterThanOrEqual(10);
  expect(slices.waitedMs).toBeGreaterThanOrEqual(20);
});
