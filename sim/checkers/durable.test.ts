import { expect, test } from "vitest";
import { checkDurable } from "./durable.ts";
import { put, putUnknown, state } from "./testing/lines.ts";

test("durable checker accepts: acknowledged writes that every replica remembers", () => {
  const ids = [
    ["id-a", 1],
    ["id-b", 2],
  ] as const;
  const lines = [
    put([0, 1], "a", 1),
    put([2, 3], "b", 2),
    state(0, 2, { ids }),
    state(1, 2, { ids }),
  ];
  expect(checkDurable(lines)).toEqual([]);
});

test("durable checker accepts: a forgotten old id, a lost unknown write", () => {
  const lines = [
    put([0, 1], "a", 1),
    put([2, 3], "b", 2),
    putUnknown([4, 5], "c"),
    state(0, 2, { ids: [["id-b", 2]] }),
  ];
  expect(checkDurable(lines)).toEqual([]);
});

test("durable checker rejects: a version that a replica does not reach", () => {
  const lines = [
    put([0, 1], "a", 1),
    put([2, 3], "b", 2),
    state(0, 2, { ids: [["id-b", 2]] }),
    state(1, 1, { ids: [["id-a", 1]] }),
  ];
  expect(checkDurable(lines)).toHaveLength(1);
});

test("durable checker rejects: another operation in the acknowledged one's place", () => {
  const ids = [
    ["id-a", 1],
    ["id-x", 2],
  ] as const;
  expect(
    checkDurable([put([0, 1], "a", 1), put([2, 3], "b", 2), state(0, 2, { ids })]),
  ).toHaveLength(1);
});
