import { expect, test } from "vitest";
import { NO_SLOTS, nameOfSpan, partsOf, rangesOf, shardsOf, withGroup } from "./slot-map.ts";

const span = (first: number, last: number, keyspace = 1) => ({ keyspace, first, last });
const text = (keyspaces: typeof NO_SLOTS.keyspaces, keyspace = 1) =>
  rangesOf({ keyspaces }, keyspace)
    .map((range) => `${nameOfSpan(range)}:${range.group}`)
    .join(" ");

test.each([
  [[], "0-4095:1"],
  [[[0, 4095, 2]], "0-4095:2"],
  [
    [
      [0, 9, 2],
      [10, 19, 2],
    ],
    "0-19:2 20-4095:1",
  ],
  [
    [
      [0, 99, 2],
      [50, 60, 1],
    ],
    "0-49:2 50-60:1 61-99:2 100-4095:1",
  ],
  [
    [
      [7, 7, 3],
      [4095, 4095, 2],
    ],
    "0-6:1 7:3 8-4094:1 4095:2",
  ],
  [
    [
      [0, 4095, 2],
      [0, 4095, 1],
    ],
    "0-4095:1",
  ],
] as [number[][], string][])("slot map: served by groups %j: %s", (changes, expected) => {
  let { keyspaces } = NO_SLOTS;
  for (const [first, last, group] of changes)
    keyspaces = withGroup({ keyspaces }, [span(first!, last!)], group!);
  expect(text(keyspaces)).toBe(expected);
  expect(keyspaces[0]?.version ?? 0).toBe(changes.length);
  expect(shardsOf({ keyspaces }).every(({ group }) => group !== 1)).toBe(true);
});

test("slot map: keyspaces are apart, and a change counts only where it is made", () => {
  let { keyspaces } = NO_SLOTS;
  keyspaces = withGroup({ keyspaces }, [span(0, 9, 3), span(0, 9, 1)], 2);
  keyspaces = withGroup({ keyspaces }, [span(5, 5, 3)], 4);
  expect(text(keyspaces, 1)).toBe("0-9:2 10-4095:1");
  expect(text(keyspaces, 3)).toBe("0-4:2 5:4 6-9:2 10-4095:1");
  expect(text(keyspaces, 2)).toBe("0-4095:1");
  expect(keyspaces.map(({ keyspace, version }) => [keyspace, version])).toEqual([
    [1, 1],
    [3, 2],
  ]);
});

test("slot map: a span in parts, by who serves them", () => {
  const keyspaces = withGroup(NO_SLOTS, [span(10, 19)], 2);
  const parts = (first: number, last: number) =>
    partsOf({ keyspaces }, span(first, last)).map((r) => `${nameOfSpan(r)}:${r.group}`);
  expect(parts(0, 4095)).toEqual(["0-9:1", "10-19:2", "20-4095:1"]);
  expect(parts(15, 15)).toEqual(["15:2"]);
  expect(parts(5, 12)).toEqual(["5-9:1", "10-12:2"]);
});
