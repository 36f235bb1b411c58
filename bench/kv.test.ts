/** The benchmark's short form: what it prints is whole. What it measures is for BENCHMARKS.md to say. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const phase = {
  operation: expect.any(String),
  inFlight: expect.any(Number),
  perSecond: expect.any(Number),
  operations: expect.any(Number),
  failed: 0,
  p9999Ms: expect.any(Number),
  maxMs: expect.any(Number),
  slowestBecause: expect.any(String),
  cpuUsPerOperation: expect.any(Number),
};

test("bench: the last line tells both stores, ratios and failover, with counters for every promise", () => {
  const script = join(import.meta.dirname, "kv.ts");
  const short = ["--seconds", "0.3", "--warm-up", "0.1", "--keys", "500", "--without-etcd"];
  const output = execFileSync(process.execPath, [script, ...short], { encoding: "utf8" });
  const report = JSON.parse(output.trimEnd().split("\n").at(-1)!);
  const { put256, put1000, get256, change, wideChange } = report.ours.phases;
  for (const one of [put256, put1000, get256, change, wideChange]) expect(one).toMatchObject(phase);
  // Two replicas had a put synced before it was acknowledged; a get asked, and was told, after it arrived.
  for (const one of [put256, put1000])
    expect(one.syncedRecordsPerOperation).toBeGreaterThanOrEqual(2);
  expect(get256.versionQueriesPerOperation).toBeGreaterThanOrEqual(1);
  expect(get256.versionsToldPerOperation).toBeGreaterThanOrEqual(1);
  expect(report.ours.diskBytesPerPayloadByte).toBeGreaterThan(1);
  expect(report).toMatchObject({
    etcd: null,
    etcdVersion: null,
    ratio: { put256: null, put1000: null, get256: null },
    failover: { failed: 0, worstMs: expect.any(Number) },
  });
}, 120_000);
