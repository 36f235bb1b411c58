import { expect, test } from "vitest";
import { isSameJson, stableJson } from "./stable-json.ts";

const PAIRS: [a: unknown, b: unknown, text: string, isSame: boolean][] = [
  [{ b: 1, a: [1, "x"] }, { a: [1, "x"], b: 1 }, '{"a":[1,"x"],"b":1}', true],
  [{ a: undefined, b: null }, { b: null }, '{"b":null}', true],
  [{ a: {} }, { a: [] }, '{"a":{}}', false],
  [[1, 2], [2, 1], "[1,2]", false],
  [[1], [1, 2], "[1]", false],
  [{ a: 1 }, { a: 1, b: 2 }, '{"a":1}', false],
  [{ a: 1, b: 2 }, { a: 1 }, '{"a":1,"b":2}', false],
  [{ 'quo"ted': "ü" }, { 'quo"ted': "ü" }, '{"quo\\"ted":"ü"}', true],
  [0, "0", "0", false],
  [null, undefined, "null", false],
];

test.each(PAIRS)("stable JSON: %o and %o", (a, b, text, isSame) => {
  expect(stableJson(a)).toBe(text);
  expect(isSameJson(a, b)).toBe(isSame);
});
