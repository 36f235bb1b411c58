import { expect, test } from "vitest";
import { checkExactlyOnce } from "./exactly-once.ts";
import { change, put, putUnknown, state } from "./testing/lines.ts";

test("exactly-once checker accepts: each id in its acknowledged version", () => {
  const ids = [
    ["id-a", 1],
    ["id-b", 2],
  ] as const;
  const lines = [
    put([0, 1], "a", 1),
    putUnknown([2, 3], "b"),
    state(0, 2, { ids }),
    state(1, 2, { ids }),
  ];
  expect(checkExactlyOnce(lines)).toEqual([]);
});

test("exactly-once checker accepts: several changes of a table in one version", () => {
  const lines = [
    change([0, 9], 1, []),
    change([1, 9], 1, []),
    state(0, 1, {
      model: "table",
      ids: [
        ["change-0-1", 1],
        ["change-1-1", 1],
      ],
    }),
  ];
  expect(checkExactlyOnce(lines)).toEqual([]);
});

test("exactly-once checker rejects: an id that took effect twice", () => {
  const ids = [
    ["id-a", 1],
    ["id-a", 2],
  ] as const;
  expect(checkExactlyOnce([putUnknown([0, 1], "a"), state(0, 2, { ids })])).not.toEqual([]);
});

test("exactly-once checker rejects: another version than the acknowledged one", () => {
  expect(checkExactlyOnce([put([0, 1], "a", 1), state(0, 2, { ids: [["id-a", 2]] })])).not.toEqual(
    [],
  );
});

test("exactly-once checker rejects: a refused operation that took effect", () => {
  const refused = put([0, 1], "a", 1, { applied: false, expected: 0 });
  expect(checkExactlyOnce([refused, state(0, 2, { ids: [["id-a", 2]] })])).not.toEqual([]);
});

test("exactly-once checker rejects: replicas that disagree, an id nobody asked for, two in one version", () => {
  const one = putUnknown([0, 1], "a");
  const other = putUnknown([0, 1], "b");
  expect(
    checkExactlyOnce([
      one,
      state(0, 2, { ids: [["id-a", 1]] }),
      state(1, 2, { ids: [["id-a", 2]] }),
    ]),
  ).not.toEqual([]);
  expect(checkExactlyOnce([one, state(0, 1, { ids: [["id-x", 1]] })])).not.toEqual([]);
  expect(
    checkExactlyOnce([
      one,
      other,
      state(0, 1, {
        ids: [
          ["id-a", 1],
          ["id-b", 1],
        ],
      }),
    ]),
  ).not.toEqual([]);
});
