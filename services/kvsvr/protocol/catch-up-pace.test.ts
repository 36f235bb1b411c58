import { expect, test } from "vitest";
import { restAfter } from "./catch-up-pace.ts";

test("catch-up pace: who waits for nobody does not rest", () => {
  expect(restAfter({ tookMs: 12, workedMs: 12, isAwaited: true })).toBe(0);
});

test("catch-up pace: as long again as others were waited for is left to them", () => {
  expect(restAfter({ tookMs: 40, workedMs: 10, isAwaited: true })).toBe(30);
});

test("catch-up pace: work side by side with a peer's may take less time than it is", () => {
  expect(restAfter({ tookMs: 10, workedMs: 14, isAwaited: true })).toBe(0);
});

test("catch-up pace: when no client waits for it, it takes a quarter of an idle machine at most", () => {
  const workedMs = 10;
  const restMs = restAfter({ tookMs: workedMs, workedMs, isAwaited: false });
  expect(workedMs / (workedMs + restMs)).toBe(1 / 4);
  expect(restAfter({ tookMs: 30, workedMs, isAwaited: false })).toBeGreaterThan(restMs);
});

test("catch-up pace: however busy the others are, it goes on", () => {
  expect(restAfter({ tookMs: 800, workedMs: 10, isAwaited: true })).toBe(30);
  expect(restAfter({ tookMs: 5_000, workedMs: 1, isAwaited: false })).toBe(500);
});
