import { expect, test } from "vitest";
import { inMoves, planRebalance, type Transfer, transfersTo } from "./rebalance.ts";
import { NO_SLOTS, nameOfSpan, rangesOf, withGroup } from "./slot-map.ts";

const span = (first: number, last: number, keyspace = 1) => ({ keyspace, first, last });
const text = (transfers: readonly Transfer[]) =>
  transfers.map((t) => `${nameOfSpan(t)}:${t.from}>${t.to}`).join(" ");

function carriedOut(keyspaces: typeof NO_SLOTS.keyspaces, transfers: readonly Transfer[]) {
  return transfers.reduce((done, t) => withGroup({ keyspaces: done }, [t], t.to), keyspaces);
}

function slotsBy(keyspaces: typeof NO_SLOTS.keyspaces): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { first, last, group } of rangesOf({ keyspaces }, 1))
    counts[group] = (counts[group] ?? 0) + last - first + 1;
  return counts;
}

test.each([
  [[1, 2], "2048-4095:1>2", { 1: 2048, 2: 2048 }],
  [[1, 2, 3], "1366-2730:1>3 2731-4095:1>2", { 1: 1366, 2: 1365, 3: 1365 }],
  [[1], "", { 1: 4096 }],
] as [number[], string, object][])("rebalance: from one group to %j", (groups, moves, counts) => {
  const transfers = planRebalance(NO_SLOTS, [1], groups);
  expect(text(transfers)).toBe(moves);
  expect(slotsBy(carriedOut([], transfers))).toEqual(counts);
});

test("rebalance: what is even stays, and a group that is left out gives everything", () => {
  const even = carriedOut([], planRebalance(NO_SLOTS, [1], [1, 2]));
  expect(planRebalance({ keyspaces: even }, [1], [1, 2])).toEqual([]);
  const without = planRebalance({ keyspaces: even }, [1], [1]);
  expect(text(without)).toBe("2048-4095:2>1");
  const third = planRebalance({ keyspaces: even }, [1], [1, 2, 3]);
  expect(slotsBy(carriedOut(even, third))).toEqual({ 1: 1366, 2: 1365, 3: 1365 });
  const moved = third.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  expect(moved).toBe(1365);
});

test("rebalance: a span goes to a group from wherever its parts are", () => {
  const keyspaces = withGroup(NO_SLOTS, [span(10, 19)], 2);
  expect(text(transfersTo({ keyspaces }, span(0, 29), 3))).toBe("0-9:1>3 10-19:2>3 20-29:1>3");
  expect(text(transfersTo({ keyspaces }, span(0, 29), 2))).toBe("0-9:1>2 20-29:1>2");
});

test("rebalance: moves of few keys, of several keyspaces together where they fit", () => {
  const transfers = [
    { ...span(0, 9), from: 1, to: 2 },
    { ...span(0, 4, 2), from: 1, to: 2 },
    { ...span(5, 9, 2), from: 3, to: 2 },
  ];
  const keysOf = (wanted: ReturnType<typeof inMoves>) =>
    wanted.map(({ ranges, from, to }) =>
      [`${from}>${to}`, ...ranges.map((r) => `${r.keyspace}/${nameOfSpan(r)}`)].join(" "),
    );
  expect(keysOf(inMoves(transfers, () => 1, 100))).toEqual(["1>2 1/0-9 2/0-4", "3>2 2/5-9"]);
  expect(keysOf(inMoves(transfers, () => 1, 6))).toEqual([
    "1>2 1/0-5",
    "1>2 1/6-9 2/0-1",
    "1>2 2/2-4",
    "3>2 2/5-9",
  ]);
  // A slot is the smallest that can be moved, however many keys it holds.
  expect(inMoves([{ ...span(3, 4), from: 1, to: 2 }], () => 1_000, 6)).toHaveLength(2);
});
