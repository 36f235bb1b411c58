import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { BatchOutcome } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { RunningBatch } from "./batch.ts";

const written: BatchOutcome["outcome"] = {
  case: "write",
  value: { applied: true, version: 1 },
};

let answered: (string | undefined)[] | undefined;

function start(items: number): RunningBatch {
  answered = undefined;
  return new RunningBatch(items, (outcomes) => {
    answered = outcomes.map(({ outcome }) => outcome?.case);
  });
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test("a batch is answered when all its items are", () => {
  const batch = start(2);
  batch.settle(1, new RpcError("NOT_FOUND", "no such key"));
  expect(answered).toBeUndefined();
  batch.settle(0, written);
  expect(answered).toEqual(["write", "failure"]);
});

test("a batch without items is answered at once", () => {
  start(0);
  expect(answered).toEqual([]);
});

test.each([
  { firstMs: 2, patienceMs: 30 },
  { firstMs: 100, patienceMs: 100 },
  { firstMs: 2_000, patienceMs: 250 },
])("what is slower than the first, which took $firstMs ms, gets $patienceMs ms more", (times) => {
  const { firstMs, patienceMs } = times;
  const batch = start(3);
  vi.advanceTimersByTime(firstMs);
  batch.settle(0, written);
  vi.advanceTimersByTime(patienceMs - 1);
  batch.settle(2, written);
  expect(answered).toBeUndefined();
  vi.advanceTimersByTime(1);
  expect(answered).toEqual(["write", "underWay", "write"]);
  batch.settle(1, written); // too late, and heard by nobody
});
