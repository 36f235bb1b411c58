import { expect, test } from "vitest";
import { sequenceKey, sequenceOf } from "./sequence-key.ts";

const prefix = Buffer.from("q/");

test.each([0, 1, 255, 256, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1])(
  "sequence key: the number comes back (%d)",
  (sequence) => {
    expect(sequenceOf(sequenceKey(prefix, sequence))).toBe(sequence);
  },
);

test("sequence key: key order is number order", () => {
  const numbers = [3, 2 ** 32 + 1, 256, 2 ** 40, 1, 255];
  const keys = numbers.map((n) => sequenceKey(prefix, n)).sort(Buffer.compare);
  expect(keys.map(sequenceOf)).toEqual([...numbers].sort((a, b) => a - b));
});
