import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { BatchOutcome } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { KeptBatches, RunningBatch } from "./batch.ts";
import {
  BATCH_PATIENCE_MS,
  BATCH_REPLY_BYTES,
  BATCHES_KEPT_MAX,
  VALUE_BYTES_MAX,
} from "./limits.ts";

const written: BatchOutcome["outcome"] = {
  case: "write",
  value: { applied: true, version: 1 },
};

/** What the batch's caller has heard. */
let answered: (string | undefined)[] | undefined;

function ask(batch: RunningBatch): void {
  answered = undefined;
  batch.next((outcomes) => {
    answered = outcomes.map(({ outcome }) => outcome?.case);
  });
}

function start(items: number): RunningBatch {
  const batch = new RunningBatch(items);
  ask(batch);
  return batch;
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
  expect(batch.isOver).toBe(false);
});

test("the rest of a batch comes when it is asked for, in order, again a part of it if need be", () => {
  const batch = start(4);
  batch.settle(1, written);
  vi.advanceTimersByTime(BATCH_PATIENCE_MS);
  expect(answered).toEqual(["underWay", "write", "underWay", "underWay"]);
  batch.settle(3, new RpcError("NOT_FOUND", "no such key"));
  vi.advanceTimersByTime(10 * BATCH_PATIENCE_MS);
  ask(batch);
  expect(answered).toBeUndefined();
  vi.advanceTimersByTime(BATCH_PATIENCE_MS);
  expect(answered).toEqual(["underWay", "underWay", "failure"]);
  ask(batch);
  batch.settle(0, written);
  batch.settle(2, written);
  expect(answered).toEqual(["write", "write"]);
  expect(batch.isOver).toBe(true);
});

/** A read of a value of a mebibyte. */
const got: BatchOutcome["outcome"] = {
  case: "get",
  value: { found: true, value: Buffer.alloc(VALUE_BYTES_MAX), version: 1 },
};

test("a batch's reply is not larger than a frame: what has no room is its rest, and is there at once", () => {
  const batch = start(11);
  for (let index = 0; index < 10; index++) batch.settle(index, got);
  // Told as soon as it is full, though one is not settled.
  expect(answered!.filter((kind) => kind === "get")).toHaveLength(4);
  ask(batch);
  expect(answered!.filter((kind) => kind === "get")).toHaveLength(4);
  ask(batch);
  expect(answered).toBeUndefined();
  batch.settle(10, got);
  expect(answered).toEqual(["get", "get", "get"]);
  expect(batch.isOver).toBe(true);
});

test("batches that nobody asks for make room for others", () => {
  const kept = new KeptBatches(2 * BATCH_REPLY_BYTES);
  const batches = Array.from({ length: BATCHES_KEPT_MAX + 1 }, () => start(1));
  const rests = batches.map((batch) => kept.keep(batch));
  expect(kept.take(rests[0]!)).toBeUndefined();
  expect(kept.take(rests[1]!)).toBe(batches[1]);
  expect(kept.take(rests[1]!)).toBeUndefined();
});

test("batches that nobody asks for are bounded by what their outcomes hold, too", () => {
  const kept = new KeptBatches(4 * VALUE_BYTES_MAX);
  const batches = [4, 4, 4].map((items) => start(items));
  const [first, second, third] = batches.map((batch) => kept.keep(batch));
  // They grow while they are kept, and one that is asked for counts no more.
  batches[0]!.settle(0, got);
  batches[1]!.settle(0, got);
  batches[2]!.settle(0, got);
  expect(kept.take(third!)).toBe(batches[2]);
  batches[1]!.settle(1, got);
  expect(batches[0]!.readyBytes).toBeGreaterThan(VALUE_BYTES_MAX);
  batches[1]!.settle(2, got);
  expect(kept.take(first!)).toBeUndefined();
  // What was dropped holds nothing, whatever is settled later.
  batches[0]!.settle(1, got);
  expect(batches[0]!.readyBytes).toBe(0);
  expect(kept.take(second!)).toBe(batches[1]);
  expect(batches[1]!.readyBytes).toBeGreaterThan(3 * VALUE_BYTES_MAX);
  // One that alone is too large is dropped as well, when it is kept or later.
  batches[2]!.settle(1, got);
  batches[2]!.settle(2, got);
  expect(kept.take(kept.keep(batches[2]!))).toBe(batches[2]);
  const again = kept.keep(batches[2]!);
  batches[2]!.settle(3, got);
  expect(kept.take(again)).toBeUndefined();
});
