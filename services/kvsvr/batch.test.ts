import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { BatchOutcome } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { RunningBatch } from "./batch.ts";
import { BATCH_PATIENCE_MS } from "./limits.ts";

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

test("what is much slower than the first is answered as under way", () => {
  const batch = start(3);
  vi.advanceTimersByTime(100);
  batch.settle(0, written);
  vi.advanceTimersByTime(BATCH_PATIENCE_MS - 1);
  batch.settle(2, written);
  expect(answered).toBeUndefined();
  vi.advanceTimersByTime(1);
  expect(answered).toEqual(["write", "underWay", "write"]);
  batch.settle(1, written); // too late, and heard by nobody
});
