import { expect, test } from "vitest";
import { newestOf } from "./newest.ts";

/** "3" knows version 3, "3+" has accepted a value for version 4 besides, "!" cannot say. */
function knownOf(text: string) {
  return text.split(" ").map((word) => ({
    knownVersion: Number.parseInt(word, 10) || 0,
    pending: word.endsWith("+"),
    barred: word === "!" ? "its record is damaged" : "",
  }));
}

test.each([
  ["3 3 3", 3],
  ["3 2 3", 3],
  ["3 2+ 3", 3],
  ["0 0", 0],
  ["3 ! 2", 3],
  ["3+ 3 3", "settle"],
  ["0 0+", "settle"],
  ["3+ 2 2", "settle"],
  ["3", "settle"],
  ["3 ! !", "settle"],
])("newest: of %s it is %s", (text, newest) => {
  const expected =
    newest === "settle" ? { state: "settle" } : { state: "decided", version: newest };
  expect(newestOf(knownOf(text))).toEqual(expected);
});
