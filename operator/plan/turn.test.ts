import { expect, test } from "vitest";
import { type CampusHealth, whoseTurn } from "./turn.ts";

/** "a b! c#": b is not whole, c is blocked; "a? b? c?": nobody knows what is blocked. */
function campuses(text: string): CampusHealth[] {
  return text.split(" ").map((word) => ({
    campus: word[0]!,
    trouble: word.includes("!") ? "a pod is not ready" : undefined,
    isBlocked: word.includes("?") ? undefined : word.includes("#"),
  }));
}

const UNREAD = "waits: the control table cannot be read, so nobody knows what is blocked";

test.each([
  // campuses, what wants to be replaced where, whose turn
  ["a b c", "", "none"],
  ["a b c", "abc", "a"],
  ["a b c", "bc", "b"],
  ["a b c", "c", "c"],
  ["a! b c", "abc", "a"],
  ["a b! c", "abc", "b"],
  ["a b! c", "ac", "waits: campus b is not whole: a pod is not ready"],
  [
    "a! b! c",
    "abc",
    "waits: campuses a (a pod is not ready) and b (a pod is not ready) are not whole",
  ],
  ["a b# c", "abc", "b"],
  ["a b# c", "ac", "waits: campus b is blocked: the others carry its load"],
  ["a b#! c", "abc", "b"],
  ["a? b? c?", "abc", UNREAD],
  ["a? b!? c?", "b", UNREAD],
  ["a! b# c", "abc", "waits: campus b is blocked and a is not whole"],
])("turn: %s, wanted in %s: %s", (text, wanting, expected) => {
  const turn = whoseTurn(campuses(text), new Set(wanting));
  if (turn.turn === "given") expect(turn.campus).toBe(expected);
  else expect(turn.message === "" ? "none" : `waits: ${turn.message}`).toBe(expected);
});
