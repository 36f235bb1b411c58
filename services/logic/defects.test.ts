import { expect, test } from "vitest";
import type { Code } from "../svrkit/errors.ts";
import { judge } from "./defects.ts";

const MINUTE = 60_000;
const NOW = 100 * 60 * MINUTE;
const ago = (minutes: number) => NOW - minutes * MINUTE;

test.each<[code: Code, failures: number, entries: number, since: number, others: number, string]>([
  ["TOO_LARGE", 1, 5, 0, 0, "apart"],
  ["TOO_LARGE", 1, 1, 0, 0, "again"],
  ["TOO_LARGE", 30, 1, 1, 0, "bury"],
  ["INVALID_ARGUMENT", 29, 5, 1, 0, "again"],
  ["INVALID_ARGUMENT", 30, 5, 1, 0, "apart"],
  ["INVALID_ARGUMENT", 30, 1, 1, 0, "bury"],
  ["INTERNAL", 30, 5, 1, 0, "apart"],
  ["INTERNAL", 30, 1, 1, 0, "again"],
  ["INTERNAL", 600, 1, 10, 0.5, "bury"],
  ["INTERNAL", 600, 1, 10, 2, "again"],
  ["INTERNAL", 600, 1, 10, 11, "again"],
  ["INTERNAL", 9_000, 1, 359, 400, "again"],
  ["INTERNAL", 9_000, 1, 360, 400, "bury"],
  ["NO_QUORUM", 9_000, 1, 600, 0, "again"],
  ["UNAVAILABLE", 9_000, 5, 600, 0, "again"],
  ["DEADLINE_EXCEEDED", 9_000, 1, 600, 0, "again"],
])(
  "defects: %s, %i times, of %i entries, for %d min, others worked %d min ago: %s",
  (code, failures, entries, since, others, expected) => {
    const times = { sinceMs: ago(since), othersWorkedMs: ago(others) };
    expect(judge({ code, failures, entries, ...times }, NOW)).toBe(expected);
  },
);

test("defects: who never saw another step work waits", () => {
  const failing = { code: "INTERNAL" as const, failures: 900, entries: 1, sinceMs: ago(60) };
  expect(judge({ ...failing, othersWorkedMs: undefined }, NOW)).toBe("again");
});
