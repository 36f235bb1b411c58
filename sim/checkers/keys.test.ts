import { expect, test } from "vitest";
import { formatHistory, type Line, parseHistory } from "../history.ts";
import { checkKeys } from "./keys.ts";
import { erase, get, put, putUnknown } from "./testing/lines.ts";

const floor = (version: number): Line => ({ type: "floor", first: 0, last: 4095, version });

const recent = { level: "recent" } as const;

const accepted: Record<string, Line[]> = {
  "a recent read of what was there half a second before": [
    put([0, 1], "a", 1),
    put([2, 3], "b", 2),
    get([503, 504], "a", 1, recent),
  ],
  "recent reads that go back": [
    put([0, 1], "a", 1),
    put([2, 3], "b", 2),
    get([4, 5], "b", 2, recent),
    get([6, 7], "a", 1, recent),
  ],
  "deleted, forgotten, written again above the floor": [
    floor(7),
    put([0, 1], "a", 1),
    erase([2, 3], 2),
    get([4, 5], null, 7),
    put([6, 7], "b", 8, { expected: 7 }),
    erase([8, 9], 9),
    get([10, 11], null, 9),
  ],
  "never written in a slot that has a floor": [
    floor(7),
    get([0, 1], null, 7),
    put([2, 3], "a", 8, { expected: 0 }),
  ],
  "alive when its slot got a floor": [floor(7), put([0, 1], "a", 1), put([2, 3], "b", 2)],
  "one after another": [
    put([0, 1], "a", 1),
    get([2, 3], "a", 1),
    put([4, 5], "b", 2),
    get([6, 7], "b", 2),
  ],
  "concurrent writes in either order": [
    put([0, 9], "a", 2),
    put([0, 9], "b", 1),
    get([10, 11], "a", 2),
  ],
  "a read beside a write sees either": [
    put([0, 1], "a", 1),
    put([2, 9], "b", 2),
    get([3, 4], "a", 1),
    get([5, 6], "b", 2),
  ],
  "an unknown write seen later": [
    put([0, 1], "a", 1),
    putUnknown([2, 3], "b"),
    get([4, 5], "a", 1),
    get([6, 7], "b", 2),
  ],
  "an unknown write never seen": [
    putUnknown([0, 1], "a"),
    put([2, 3], "b", 1),
    get([4, 5], "b", 1),
  ],
  "absent, deleted, written again": [
    get([0, 1], null, 0),
    put([2, 3], "a", 1),
    erase([4, 5], 2),
    get([6, 7], null, 2),
    put([8, 9], "b", 3),
  ],
  "compare-and-set applied and refused": [
    put([0, 1], "a", 1),
    put([2, 3], "b", 2, { expected: 1 }),
    put([4, 5], "c", 2, { expected: 1, applied: false }),
  ],
};

const rejected: Record<string, Line[]> = {
  "a recent read of what was over half a second before": [
    put([0, 1], "a", 1),
    put([2, 3], "b", 2),
    get([504, 505], "a", 1, recent),
  ],
  "a recent read of what came after it": [get([0, 1], "a", 1, recent), put([2, 3], "a", 1)],
  "a read behind what a recent one saw": [
    put([0, 1], "a", 1),
    put([2, 9], "b", 2),
    get([3, 4], "b", 2, recent),
    get([5, 6], "a", 1),
  ],
  "forgotten although it was alive": [floor(7), put([0, 1], "a", 1), get([2, 3], null, 7)],
  "a version that falls behind its floor": [
    floor(7),
    put([0, 1], "a", 1),
    erase([2, 3], 2),
    get([4, 5], null, 7),
    get([6, 7], null, 2),
  ],
  "written below what was seen of the floor": [
    floor(7),
    put([0, 1], "a", 1),
    erase([2, 3], 2),
    get([4, 5], null, 7),
    put([6, 7], "b", 3),
  ],
  "a jump that no floor explains": [put([0, 1], "a", 1), erase([2, 3], 2), put([4, 5], "b", 8)],
  "more versions than writes above a floor": [floor(7), get([0, 1], null, 7), put([2, 3], "a", 9)],
  "a stale read": [put([0, 1], "a", 1), put([2, 3], "b", 2), get([4, 5], "a", 1)],
  "reads that go back": [
    put([0, 9], "a", 1),
    put([0, 9], "b", 2),
    get([1, 2], "b", 2),
    get([3, 4], "a", 1),
  ],
  "one version twice": [put([0, 9], "a", 1), put([0, 9], "b", 1)],
  "a lost write": [put([0, 1], "a", 1), put([2, 3], "b", 1)],
  "a value that nobody wrote": [put([0, 1], "a", 1), get([2, 3], "x", 1)],
  "a value under another's version": [
    put([0, 1], "a", 1),
    put([2, 3], "b", 2),
    get([4, 5], "a", 2),
  ],
  "an operation carried out twice": [put([0, 1], "a", 1), put([2, 3], "b", 2), get([4, 5], "a", 3)],
  "more versions than writes": [put([0, 1], "a", 1), get([2, 3], "a", 1), put([4, 5], "b", 3)],
  "an unknown write seen before it began": [get([0, 1], "a", 1), putUnknown([2, 3], "a")],
  "an unknown write seen twice": [
    putUnknown([0, 1], "a"),
    get([2, 3], "a", 1),
    put([4, 5], "b", 2),
    get([6, 7], "a", 3),
  ],
  "a value back after its deletion": [put([0, 1], "a", 1), erase([2, 3], 2), get([4, 5], "a", 2)],
  "a version that starts again after a deletion": [
    put([0, 1], "a", 1),
    erase([2, 3], 2),
    put([4, 5], "b", 1),
  ],
  "absent where a value was written": [put([0, 1], "a", 1), get([2, 3], null, 1)],
  "a compare-and-set over another write": [
    put([0, 1], "a", 1),
    put([2, 9], "b", 2),
    put([2, 9], "c", 3, { expected: 1 }),
  ],
  "a compare-and-set refused although it held": [
    put([0, 1], "a", 1),
    put([2, 3], "b", 1, { expected: 1, applied: false }),
  ],
};

for (const [name, lines] of Object.entries(accepted))
  test(`keys checker accepts: ${name}`, () => expect(checkKeys(lines)).toEqual([]));
for (const [name, lines] of Object.entries(rejected))
  test(`keys checker rejects: ${name}`, () => expect(checkKeys(lines)).not.toEqual([]));

test("keys checker: the same verdict after writing and reading the history", () => {
  const lines = rejected["a stale read"]!;
  expect(checkKeys(parseHistory(formatHistory(lines)))).toEqual(checkKeys(lines));
});

test("keys checker: a hundred thousand operations in a second", () => {
  const lines = Array.from({ length: 50_000 }, (_, i) => [
    put([i * 4, i * 4 + 1], `${i}`, i + 1),
    get([i * 4 + 2, i * 4 + 3], `${i}`, i + 1),
  ]).flat();
  const started = performance.now();
  expect(checkKeys(lines)).toEqual([]);
  expect(performance.now() - started).toBeLessThan(5_000);
});
