import { expect, test } from "vitest";
import { Window } from "./window.ts";

const BOUNDS = { min: 100, max: 1_600 };

/** Its size after each of these rounds: how long pieces took, and whether something waited meanwhile. */
function sizes(rounds: readonly { tookMs: number; isFull: boolean }[]): number[] {
  const window = new Window(BOUNDS);
  const after: number[] = [];
  for (const [round, { tookMs, isFull }] of [...rounds, { tookMs: 0, isFull: false }].entries()) {
    // A round is judged when the first piece of the next one ends.
    window.ended(tookMs, 1_000 + round * 100, { isFull, isDone: true });
    after.push(window.size);
    for (let piece = 1; piece < 3; piece++)
      window.ended(tookMs, 1_000 + round * 100 + piece, { isFull, isDone: true });
  }
  return after.slice(1);
}

const slow = { tookMs: 300, isFull: true };
const quick = { tookMs: 20, isFull: true };
const between = { tookMs: 120, isFull: true };

test.each([
  {
    what: "begins at its widest, and no quick round makes it wider",
    rounds: [quick, quick],
    wanted: [1_600, 1_600],
  },
  {
    what: "halves while pieces are slow, down to its least",
    rounds: [slow, slow, slow, slow, slow, slow],
    wanted: [800, 400, 200, 100, 100, 100],
  },
  {
    what: "is soon as wide again",
    rounds: [slow, slow, slow, quick, quick, quick],
    wanted: [800, 400, 200, 400, 800, 1_600],
  },
  {
    what: "widens little by little where pieces are neither",
    rounds: [slow, between, between],
    wanted: [800, 900, 1_000],
  },
  {
    what: "is no wider when nothing waited for it",
    rounds: [slow, { ...quick, isFull: false }],
    wanted: [800, 800],
  },
  {
    what: "what waited in one round says nothing of the next",
    rounds: [slow, between, { ...quick, isFull: false }],
    wanted: [800, 900, 900],
  },
])("window: $what", ({ rounds, wanted }) => {
  expect(sizes(rounds)).toEqual(wanted);
});

test("window: pieces that end together are judged together, however many", () => {
  const window = new Window(BOUNDS);
  const facts = { isFull: true, isDone: true };
  for (let piece = 0; piece < 50; piece++) window.ended(300, 1_000 + piece, facts);
  expect(window.size).toBe(1_600);
  window.ended(300, 1_100, facts);
  expect(window.size).toBe(800);
});

test.each([
  ["fail at once", 1, 200],
  ["fail after long", 900, 100],
])("window: of pieces that %s", (_, failedAfterMs, size) => {
  const window = new Window(BOUNDS);
  for (const nowMs of [1_000, 1_100, 1_200, 1_300])
    window.ended(300, nowMs, { isFull: true, isDone: true });
  expect(window.size).toBe(200);
  for (const nowMs of [1_400, 1_500, 1_600])
    window.ended(failedAfterMs, nowMs, { isFull: true, isDone: false });
  expect(window.size).toBe(size);
});
