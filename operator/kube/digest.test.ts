import { expect, test } from "vitest";
import { digestOfValue, NO_DIGEST } from "./digest.ts";

const SAME: [a: unknown, b: unknown][] = [
  [
    { a: 1, b: { c: [1, "x"], d: null } },
    { b: { d: null, c: [1, "x"] }, a: 1 },
  ],
  [{ a: undefined, b: 1 }, { b: 1 }],
  [undefined, null],
];
const DIFFERENT: [a: unknown, b: unknown][] = [
  [1, "1"],
  [0, false],
  [null, ""],
  [null, false],
  [{}, []],
  [{}, null],
  [[], [[]]],
  [
    [1, 2],
    [2, 1],
  ],
  [["ab"], ["a", "b"]],
  [[1], [1, 1]],
  [{ a: 1 }, { b: 1 }],
  [
    { a: 1, b: 2 },
    { a: 2, b: 1 },
  ],
  [{ a: { b: 1 } }, { a: 1, b: {} }],
  [
    { a: { b: 1 }, c: {} },
    { a: {}, c: { b: 1 } },
  ],
  [{ a: "" }, {}],
  ["a\u0000", "a"],
];

test.each(SAME)("digest: %o and %o are the same", (a, b) => {
  expect(digestOfValue(a)).toBe(digestOfValue(b));
});

test.each(DIFFERENT)("digest: %o and %o differ", (a, b) => {
  expect(digestOfValue(a)).not.toBe(digestOfValue(b));
});

test("digest: a hundred thousand small values have as many", () => {
  const seen = new Set<number>([NO_DIGEST]);
  for (let i = 0; i < 25_000; i++) {
    const texts = [`${i}`, `name-${i}`];
    for (const value of [i, { replicas: i }, texts, { [`f${i}`]: {} }])
      seen.add(digestOfValue(value));
  }
  expect(seen.size).toBe(100_001);
  expect([...seen].every(Number.isSafeInteger)).toBe(true);
});
