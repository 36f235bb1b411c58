import { expect, test } from "vitest";
import { Strangers } from "./strangers.ts";

const limits = { max: 4, addressMax: 2, graceMs: 1_000 };
const ROOM = 100;

function opened(...all: readonly [from: string, openedAtMs: number][]) {
  const strangers = new Strangers<{ openedAtMs: number }>(limits);
  const ones = all.map(([from, openedAtMs]) => {
    const one = { openedAtMs };
    expect(strangers.add(one, from, ROOM)).toBeUndefined();
    return one;
  });
  return { strangers, ones };
}

test("strangers: an address with its share full displaces its own oldest, and nobody else's", () => {
  const { strangers, ones } = opened(["x", 0], ["y", 1], ["y", 2]);
  expect(strangers.takes("y", ROOM, 1_000)).toBe(false);
  expect(strangers.takes("y", ROOM, 1_001)).toBe(true);
  expect(strangers.takes("x", ROOM, 3)).toBe(true);
  expect(strangers.add({ openedAtMs: 1_001 }, "y", ROOM)).toBe(ones[1]);
  expect(strangers.add({ openedAtMs: 1_002 }, "y", ROOM)).toBe(ones[2]);
  expect(strangers.size).toBe(3);
});

test("strangers: with the share of all full the oldest of all makes room, once it had its time", () => {
  const { strangers, ones } = opened(["x", 0], ["y", 1], ["z", 2], ["y", 3]);
  expect(strangers.takes("w", ROOM, 999)).toBe(false);
  expect(strangers.takes("w", ROOM, 1_000)).toBe(true);
  expect(strangers.add({ openedAtMs: 1_000 }, "w", ROOM)).toBe(ones[0]);
});

test("strangers: who has attached or gone leaves its place, and attached ones leave them less room", () => {
  const { strangers, ones } = opened(["x", 0], ["y", 1]);
  expect(strangers.takes("z", 3, 5)).toBe(true);
  expect(strangers.takes("z", 2, 5)).toBe(false);
  expect(strangers.takes("z", 2, 1_000)).toBe(true);
  strangers.delete(ones[0]!);
  strangers.delete(ones[0]!);
  expect(strangers.takes("z", 2, 5)).toBe(true);
  strangers.delete(ones[1]!);
  expect(strangers.takes("z", 0, 5_000)).toBe(false);
  expect(strangers.size).toBe(0);
});
