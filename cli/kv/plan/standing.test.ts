import { expect, test } from "vitest";
import { hasReached, standingOf } from "./standing.ts";

/** "3x" is version 3 with digest x, "3x?" not held, "0" never written, "!" a replica that cannot say. */
function answersOf(text: string) {
  return text.split(" ").map((word) => ({
    version: word === "!" ? 0 : Number.parseInt(word, 10),
    digest: word.charCodeAt(1) || 0,
    lacks: word.endsWith("?"),
    barred: word === "!" ? "its record is damaged" : "",
  }));
}

test.each([
  ["3x 3x 3x", "same"],
  ["0 0 0", "same"],
  ["3x 2y 3x", "behind"],
  ["3x 3x 0", "behind"],
  ["4z 3x 2y", "behind"],
  ["3x 3y 3x", "differs"],
  ["3x 2y 3z", "differs"],
  ["3x ! 3x", "unknown"],
  ["3x ! 3y", "differs"],
  ["3x 3x", "same"],
  ["3x 3x 3x?", "lacks"],
  ["3x 3x 2y?", "behind"],
  ["3x 3y? 3x", "differs"],
])("standing: %s is %s", (text, standing) => {
  expect(standingOf(answersOf(text))).toBe(standing);
});

test("standing: who has reached a version", () => {
  expect(hasReached(answersOf("3x 4y 3x"), 3)).toBe(true);
  expect(hasReached(answersOf("3x 2y 3x"), 3)).toBe(false);
  expect(hasReached(answersOf("3x ! 3x"), 3)).toBe(false);
  expect(hasReached(answersOf("3x 3x? 3x"), 3)).toBe(false);
  expect(hasReached(answersOf("4x 4x? 3x"), 3)).toBe(true);
});
