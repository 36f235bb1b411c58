import { expect, test } from "vitest";
import { parseDuration, parseTarget, parseWords } from "./block-arguments.ts";

const CAMPUSES = ["a", "b", "c"];

test.each([
  ["b", { campus: "b", service: "" }],
  ["b/text", { campus: "b", service: "text" }],
  ["c/kvsvr", { campus: "c", service: "kvsvr" }],
])("block: %s is a target", (text, target) => {
  expect(parseTarget(text, CAMPUSES)).toEqual(target);
});

test.each([
  ["", /there is no campus "": there are a, b, c/],
  ["d", /there is no campus "d"/],
  ["B", /there is no campus "B"/],
  ["b/text/1", /there is no campus "b\/text\/1"/],
  ["b/", /there is no service "": there are access, kvsvr/],
  ["b/dance", /there is no service "dance"/],
  ["b/fanout", /fanout cannot be blocked by itself: it takes its work from the queue/],
  ["b/queuelog-2", /queuelog-2 cannot be blocked by itself/],
])("block: %o is no target", (text, says) => {
  expect(() => parseTarget(text, CAMPUSES)).toThrow(says);
});

test.each([
  ["1s", 1_000],
  ["90s", 90_000],
  ["10m", 600_000],
  ["24h", 86_400_000],
  ["86400s", 86_400_000],
  ["1d", 86_400_000],
])("block: --for %s is %d ms", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each([
  undefined,
  "",
  "10",
  "m",
  "0s",
  "-5m",
  "1.5h",
  "10 m",
  "10M",
  "1h30m",
  "25h",
  "86401s",
  "1e3s",
  "forever",
])("block: --for %o is refused", (text) => {
  expect(() => parseDuration(text)).toThrow(/^--for .*: say 30s, 10m or 2h, at most 24h$/);
});

test("block: a bound is the caller's own, and what is beyond it is called so", () => {
  expect(() => parseDuration("24h", 23)).toThrow(
    '--for "24h" is too long: say 30s, 10m or 2h, at most 23h',
  );
});

test("block: --why is one line of words", () => {
  expect(parseWords("--why", " a new switch ")).toBe("a new switch");
  expect(parseWords("--why", "é".repeat(200))).toHaveLength(200);
  expect(() => parseWords("--why", undefined)).toThrow("--why is missing: say it in 1-200 char");
  for (const text of ["", "  ", "two\nlines", "\u001b[2J", "x".repeat(201)])
    expect(() => parseWords("--why", text)).toThrow("--why: say it in 1-200 characters");
});
