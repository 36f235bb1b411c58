import { expect, test } from "vitest";
import type { StatusReply } from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import { Latencies } from "../../services/svrkit/monitors/latency.ts";
import { formatTop, topOf } from "./top.ts";

interface Facts {
  readonly pid?: number;
  readonly uptimeMs?: number;
  readonly busyMs?: number;
  readonly calls?: number;
  readonly overloaded?: number;
  readonly ms?: readonly number[];
}

function statusOf({ pid = 7, uptimeMs = 60_000, busyMs = 0, calls = 0, ...facts }: Facts) {
  const latencies = new Latencies();
  for (const ms of facts.ms ?? []) latencies.add(ms);
  const failures = [
    { code: "OVERLOADED", count: facts.overloaded ?? 0 },
    { code: "NOT_FOUND", count: 1 },
  ];
  const method = { arrived: calls, failures, latencies: [...latencies.counts] };
  return {
    ...{ process: "a/logic", campus: "a", pid, uptimeMs, services: ["text"] },
    ...{ trouble: "", unready: "", nowMs: 0 },
    monitors: [
      { name: "process.busy_ms", number: 1, value: busyMs },
      { name: "process.loop_delay_ms", number: 2, value: 4 },
    ],
    methods: [
      { name: "Text/Send", ...method },
      { name: "Text/Recall", ...method, arrived: 0, failures: [], latencies: [] },
      { name: "Sync/Sync", arrived: 0, failures: [], latencies: [] },
    ],
  } satisfies StatusReply;
}
/** Of before the first look. */
const SLOW = [1_000, 1_000, 1_000];
const statuses = (facts: Facts) => new Map([["a/logic", statusOf(facts)]]);

test("top: what was added between two looks, by the second", () => {
  const before = statuses({ busyMs: 1_000, calls: 100, overloaded: 1, ms: SLOW });
  const ms = [...SLOW, ...Array.from({ length: 98 }, () => 2), 50, 50];
  const after = statuses({ uptimeMs: 62_000, busyMs: 2_500, calls: 200, overloaded: 11, ms });
  const top = topOf(before, after, 2);
  expect(top.processes).toMatchObject([{ process: "a/logic", busy: 75, loopDelayMs: 4 }]);
  expect(top.services).toEqual([
    {
      ...{ service: "Text", campus: "a", callsPerSecond: 50 },
      ...{ failedPerSecond: 5, rejectedPerSecond: 5, p50Ms: 2, p99Ms: 57.3 },
    },
  ]);
});

test("top: a process that was started again meanwhile counts from its start", () => {
  const before = statuses({ busyMs: 50_000, calls: 100_000, ms: [5] });
  const after = statuses({ pid: 8, uptimeMs: 1_000, busyMs: 500, calls: 4, ms: [1] });
  const top = topOf(before, after, 2);
  expect(top.processes[0]!.busy).toBe(50);
  expect(top.services[0]!.callsPerSecond).toBe(2);
});

test("top: a process that did not answer the first look is left out, not counted from its start", () => {
  const after = statuses({ uptimeMs: 3_600_000, busyMs: 90_000, calls: 1_000_000, ms: [1] });
  expect(topOf(new Map(), after, 2)).toEqual({ seconds: 2, processes: [], services: [] });
});

test("top: a table of processes and one of services", () => {
  const text = formatTop(topOf(new Map(), statuses({ uptimeMs: 900, calls: 3, ms: [1, 1, 1] }), 1));
  expect(text).toBe(
    [
      "campus  process  busy%  late-ms  MiB  connections  waiting  level",
      "a       a/logic  0      4        0    0            0        0",
      "",
      "service  campus  calls/s  failed/s  rejected/s  p50-ms  p99-ms",
      "Text     a       3        1         0           1       1",
    ].join("\n"),
  );
});
