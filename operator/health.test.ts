import { expect, test } from "vitest";
import { liveness, readiness } from "./health.ts";

const never = Number.POSITIVE_INFINITY;
const ages = (...all: number[]) => all.map((ageMs, i) => ({ kind: `Kind${i}`, ageMs }));

test("ready: when every kind was listed once, however long ago", () => {
  expect(readiness(ages(10, 500_000))).toEqual({ ok: true, text: "ready" });
  expect(readiness(ages(10, never))).toEqual({ ok: false, text: "not listed yet: Kind1" });
});

test.each([
  ["everything is fresh", ages(10, 8_000), 100, true],
  ["one kind is old for a moment", ages(10, 60_000), 100, true],
  ["one kind is stuck", ages(10, 121_000), 100, false],
  ["all are stuck, though the server answers", ages(130_000, 140_000), 100, false],
  ["the server answers nothing", ages(130_000, 140_000), 11_000, true],
  ["nothing was listed yet", ages(never, never), never, true],
])("alive: %s", (_, all, answeredMsAgo, ok) => {
  expect(liveness(all, answeredMsAgo).ok).toBe(ok);
});
