import { expect, test } from "vitest";
import { causesOf } from "./slowest.ts";

const slowest = { startMs: 1_000, endMs: 1_200 };

test("slowest: what overlapped it is told, largest first, summed by cause and process", () => {
  const sync = { cause: "sync", startMs: 900, endMs: 1_050, ms: 150 };
  const again = { cause: "sync", startMs: 1_100, endMs: 1_160, ms: 60 };
  const turn = { cause: "turn", startMs: 1_000, endMs: 1_150, ms: 40 };
  const noted = [
    { process: "a", stalls: [turn] },
    { process: "b", stalls: [sync, again] },
  ];
  expect(causesOf(slowest, noted)).toBe("b: sync 110 ms, a: turn 40 ms");
});

test("slowest: what ran side by side counts once", () => {
  const commit = { cause: "commit", startMs: 1_000, endMs: 1_100, ms: 100 };
  const behind = { cause: "commit", startMs: 1_010, endMs: 1_150, ms: 140 };
  expect(causesOf(slowest, [{ process: "a", stalls: [behind, commit] }])).toBe("a: commit 150 ms");
});

test("slowest: what was before or after it, or is small beside it, is no cause", () => {
  const before = { cause: "sync", startMs: 500, endMs: 999, ms: 499 };
  const after = { cause: "sync", startMs: 1_201, endMs: 1_400, ms: 199 };
  const small = { cause: "turn", startMs: 1_000, endMs: 1_009, ms: 9 };
  expect(causesOf(slowest, [{ process: "a", stalls: [before, after, small] }])).toBe(
    "nothing that is counted",
  );
});
