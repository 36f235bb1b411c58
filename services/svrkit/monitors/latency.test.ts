import { expect, test } from "vitest";
import { bucketEndMs, LATENCY_BUCKETS, Latencies, quantileMs } from "./latency.ts";

test("latencies: each lies at most a quarter below the end of its bucket", () => {
  for (let ms = 0.004; ms < 100_000; ms *= 1.01) {
    const latencies = new Latencies();
    latencies.add(ms);
    const bucket = latencies.counts.indexOf(1);
    expect(bucketEndMs(bucket), `${ms} ms`).toBeGreaterThan(ms * 0.9999);
    expect(bucketEndMs(bucket), `${ms} ms`).toBeLessThanOrEqual(ms * 1.26 + 0.001);
  }
});

test("latencies: what is shorter or longer than all buckets lies in the first or the last", () => {
  const latencies = new Latencies();
  for (const ms of [0, 0.001, -1]) latencies.add(ms);
  latencies.add(1_000_000);
  expect(latencies.counts[7]).toBe(3);
  expect(latencies.counts[LATENCY_BUCKETS - 1]).toBe(1);
});

test.each([
  [0.5, 4, 5],
  [0.99, 80, 100],
  [1, 1_000, 1_250],
])("latencies: the quantile %s of 1,000 durations lies between %s and %s", (share, low, high) => {
  const latencies = new Latencies();
  for (let i = 0; i < 980; i++) latencies.add(4);
  for (let i = 0; i < 19; i++) latencies.add(80);
  latencies.add(1_000);
  expect(quantileMs(latencies.counts, share)).toBeGreaterThanOrEqual(low);
  expect(quantileMs(latencies.counts, share)).toBeLessThanOrEqual(high);
});

test("latencies: without any there is no quantile", () => {
  expect(quantileMs(new Latencies().counts, 0.99)).toBe(0);
});
