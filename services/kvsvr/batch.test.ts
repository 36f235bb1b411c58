import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RunningBatch } from "./batch.ts";
import { BATCH_PATIENCE_MS, BATCH_PATIENCE_MS_MAX } from "./limits.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const written = { case: "write" as const, value: { applied: true, version: 1 } };

/** A batch of two, the first settled after so long; tells what each was answered, and when. */
function batchOfTwo(firstMs: number, secondMs: number) {
  const startedMs = performance.now();
  const answer = { cases: [] as unknown[], afterMs: 0 };
  const batch = new RunningBatch(2, (outcomes) => {
    answer.cases = outcomes.map(({ outcome }) => outcome?.case);
    answer.afterMs = performance.now() - startedMs;
  });
  setTimeout(() => batch.settle(0, written), firstMs);
  setTimeout(() => batch.settle(1, written), secondMs);
  vi.advanceTimersByTime(10_000);
  return answer;
}

test("batch: what is slower than the rest is answered as under way", () => {
  const answer = batchOfTwo(2, 1_000);
  expect(answer).toEqual({ cases: ["write", "underWay"], afterMs: 2 + BATCH_PATIENCE_MS });
});

test("batch: when all are slow, the first waits for the others twice as long as it took itself", () => {
  expect(batchOfTwo(100, 290)).toEqual({ cases: ["write", "write"], afterMs: 290 });
  expect(batchOfTwo(100, 1_000)).toEqual({ cases: ["write", "underWay"], afterMs: 300 });
});

test("batch: patience has an end", () => {
  const answer = batchOfTwo(2_000, 9_000);
  expect(answer.afterMs).toBe(2_000 + BATCH_PATIENCE_MS_MAX);
});
