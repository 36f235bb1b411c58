import { expect, test } from "vitest";
import { TokenBuckets } from "./token-buckets.ts";

test("token buckets: as often as a burst, then at the rate, and full again when quiet", () => {
  const rates = new TokenBuckets({ perSecond: 10, burst: 5 });
  const taken = (nowMs: number, tries: number) =>
    Array.from({ length: tries }, () => rates.take("ann", nowMs)).filter(Boolean).length;
  expect(taken(1_000, 9)).toBe(5);
  expect(rates.take("bob", 1_000)).toBe(true);
  expect(taken(1_050, 9)).toBe(0);
  expect(taken(1_100, 9)).toBe(1);
  let sum = 0;
  for (let at = 1_110; at < 11_100; at += 10) sum += taken(at, 3);
  expect(sum).toBe(99);
  expect(taken(20_000, 9)).toBe(5);
});

test("token buckets: what is given back can be taken again, and no more than a burst", () => {
  const rates = new TokenBuckets({ perSecond: 1, burst: 2 });
  const take = () => rates.take("ann", 1_000);
  expect([take(), take(), take()]).toEqual([true, true, false]);
  for (let i = 0; i < 5; i++) rates.giveBack("ann", 1_000);
  expect([take(), take(), take()]).toEqual([true, true, false]);
});

test("token buckets: many at once are taken together or not at all; a full bucket is always enough", () => {
  const rates = new TokenBuckets({ perSecond: 10, burst: 5 });
  expect(rates.take("ann", 1_000, 3)).toBe(true);
  expect(rates.take("ann", 1_000, 3)).toBe(false);
  expect(rates.take("ann", 1_000, 2)).toBe(true);
  expect(rates.take("ann", 1_400, 50)).toBe(false);
  expect(rates.take("ann", 1_500, 50)).toBe(true);
  expect(rates.take("ann", 1_500)).toBe(false);
});
