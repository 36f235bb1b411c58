import { expect, test } from "vitest";
import { formatTraces, type PlacedSpan } from "./trace.ts";

const span = (spanId: string, parentId: string, facts: Partial<PlacedSpan>): PlacedSpan => ({
  ...{ traceId: "t1", spanId, parentId, name: "?", kind: "call", process: "a/logic" },
  ...{ startedAtUs: 1_000_000, tookUs: 1_000, code: "OK", attributes: [] },
  ...facts,
});

test("trace: a tree, in the order of begins, whatever order the processes answered in", () => {
  const spans = [
    span("3", "2", { name: "Kv/Write", process: "a/kvsvr", startedAtUs: 1_002_000, tookUs: 900 }),
    span("4", "9", { name: "Push/Push", startedAtUs: 1_020_000, code: "UNAVAILABLE" }),
    span("2", "1", {
      ...{ name: "Text/Send", startedAtUs: 1_000_500, tookUs: 9_000 },
      attributes: [{ name: "message", value: "m7" }],
    }),
    span("1", "", { name: "Text/Send", process: "a/access", tookUs: 10_000 }),
  ];
  expect(formatTraces(spans)).toBe(
    [
      "trace t1: 4 spans in 3 processes, 21.0 ms",
      "from ms  took ms  process   call          about",
      "    0.0     10.0  a/access  Text/Send",
      "    0.5      9.0  a/logic     Text/Send   message=m7",
      "    2.0      0.9  a/kvsvr       Kv/Write",
      "   20.0      1.0  a/logic   Push/Push     UNAVAILABLE",
    ].join("\n"),
  );
});

test("trace: several traces of one message stand one below the other, the older first", () => {
  const late = span("1", "", { traceId: "t2", startedAtUs: 2_000_000 });
  const lines = formatTraces([late, span("1", "", {})]).split("\n");
  expect(lines.filter((line) => line.startsWith("trace"))).toEqual([
    "trace t1: 1 spans in 1 processes, 1.0 ms",
    "trace t2: 1 spans in 1 processes, 1.0 ms",
  ]);
});
