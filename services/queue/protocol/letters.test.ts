import { expect, test } from "vitest";
import { inParts } from "./letters.ts";

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
