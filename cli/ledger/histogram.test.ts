import fc from "fast-check";
import { expect, test } from "vitest";
import { Histogram } from "./histogram.ts";

test("histogram: quantiles agree with sorted values to 2 %", () => {
  const values = fc.array(fc.double({ min: 0.02, max: 60_000, noNaN: true }), { minLength: 1 });
  fc.assert(
    fc.property(values, fc.double({ min: 0.01, max: 1, noNaN: true }), (ms, share) => {
      const histogram = new Histogram();
      for (const value of ms) histogram.add(value);
      const exact = ms.toSorted((a, b) => a - b)[Math.ceil(share * ms.length) - 1]!;
      const found = histogram.quantile(share);
      expect(found).toBeGreaterThanOrEqual(exact * 0.999);
      expect(found).toBeLessThanOrEqual(exact * 1.021);
    }),
  );
});

test("histogram: nothing, zero and hours", () => {
  expect(new Histogram().summary()).toEqual({ p50: 0, p99: 0, max: 0 });
  const histogram = new Histogram();
  histogram.add(0);
  histogram.add(36_000_000);
  expect(histogram.summary()).toEqual({ p50: 0, p99: expect.any(Number), max: 36_000_000 });
});

test("histogram: what two processes counted adds up", () => {
  const [one, other, both] = [new Histogram(), new Histogram(), new Histogram()];
  for (let ms = 1; ms <= 500; ms++) (ms % 3 === 0 ? one : other).add(ms);
  for (let ms = 1; ms <= 500; ms++) both.add(ms);
  one.addCounts(JSON.parse(JSON.stringify(other.toCounts())));
  expect(one.summary()).toEqual(both.summary());
  expect(one.count).toBe(500);
});
