import { expect, test } from "vitest";
import { bestRate, judgeStep, nextRate, type SearchStep } from "./search.ts";

const step = (sendsPerSecond: number, isGood: boolean): SearchStep => {
  return { sendsPerSecond, isGood, acknowledgedPerSecond: sendsPerSecond, p99Ms: 10, failed: 0 };
};

function search(first: number, carries: number): { best: number; steps: number } {
  const steps: SearchStep[] = [];
  for (let rate = nextRate(first, steps); rate !== undefined; rate = nextRate(first, steps))
    steps.push(step(rate, rate <= carries));
  return { best: bestRate(steps), steps: steps.length };
}

test.each([
  [500, 1_900],
  [500, 100],
  [500, 500],
  [1_000, 12_345],
])("search: from %i it finds what is carried (%i) to a tenth", (first, carries) => {
  const { best, steps } = search(first, carries);
  expect(best).toBeLessThanOrEqual(carries);
  expect(best).toBeGreaterThanOrEqual(carries / 1.1);
  expect(steps).toBeLessThan(16);
});

test("search: it ends when nothing is carried at all", () => {
  expect(search(500, 0)).toEqual({ best: 0, steps: 10 });
});

test("search: a step is good when nearly all follow, in time, nearly without failures", () => {
  const measured = { sendsPerSecond: 100, acknowledgedPerSecond: 99, p99Ms: 150, failed: 1 };
  const judge = (change: Partial<typeof measured>) =>
    judgeStep({ ...measured, ...change }, { p99MsMax: 150, sends: 1_000 }).isGood;
  expect(judge({})).toBe(true);
  expect(judge({ p99Ms: 151 })).toBe(false);
  expect(judge({ acknowledgedPerSecond: 96 })).toBe(false);
  expect(judge({ failed: 2 })).toBe(false);
});
