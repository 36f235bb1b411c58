import { expect, test } from "vitest";
import { formatRemaining } from "./time.ts";

test.each([
  [-5, "0 s"],
  [1, "1 s"],
  [45_000, "45 s"],
  [59_001, "1 m 0 s"],
  [598_000, "9 m 58 s"],
  [7_500_000, "2 h 5 m"],
])("%d ms are %s", (ms, text) => {
  expect(formatRemaining(ms)).toBe(text);
});
