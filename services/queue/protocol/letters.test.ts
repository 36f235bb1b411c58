import { expect, test } from "vitest";
import { forgetThrough, inParts } from "./letters.ts";

test.each([
  ["none", [], []],
  ["by number", [1, 1, 1, 1], [3, 1]],
  ["by bytes", [6, 4, 1], [2, 1]],
  ["one that is larger than all", [1, 20, 1], [1, 1, 1]],
])("letters in parts: %s", (_, sizes: number[], expected) => {
  const letters = sizes.map((bytes, i) => {
    const payload = Buffer.alloc(bytes);
    return { stream: "events/1", slot: i + 1, part: 0, payload, why: "", buriedAtMs: 0 };
  });
  const parts = inParts(letters, { letters: 3, bytes: 10 });
  expect(parts.map((part) => part.length)).toEqual(expected);
  expect(parts.flat()).toEqual(letters);
});

const trace = (version: number, bytes: number, buriedAtMs: number) => ({
  ...{ version, bytes, buriedAtMs },
});
const RULES = { keepMs: 100, bytesMax: 10 };

test.each([
  ["none are there", [], 0],
  ["all are young and few", [trace(3, 5, 950), trace(7, 5, 1_000)], 0],
  ["one is too old", [trace(7, 1, 1_000), trace(3, 1, 899), trace(2, 1, 950)], 3],
  ["the oldest are too much", [trace(1, 4, 1_000), trace(9, 4, 1_000), trace(5, 4, 1_000)], 1],
  ["the newest alone is too much", [trace(1, 1, 1_000), trace(9, 11, 1_000)], 9],
])("letters that are forgotten: %s", (_, letters, expected) => {
  expect(forgetThrough(letters, RULES, 1_000)).toBe(expected);
});
