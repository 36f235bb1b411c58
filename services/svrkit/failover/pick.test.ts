import { expect, test } from "vitest";
import { pickOrder, usableFirst } from "./pick.ts";

const campus = (name: string, usable = true) => ({ campus: name, usable });

test("pick: own campus first, the others in turn", () => {
  const all = [campus("a"), campus("b"), campus("c")];
  expect(pickOrder(all, "b", 0)).toEqual([1, 0, 2]);
  expect(pickOrder(all, "b", 1)).toEqual([1, 2, 0]);
});

test("pick: the survivors of a lost campus take its load evenly", () => {
  const all = [campus("a"), campus("b", false), campus("c")];
  const first = [0, 0, 0];
  for (let turn = 0; turn < 1000; turn++) first[pickOrder(all, "b", turn)[0]!]! += 1;
  expect(first).toEqual([500, 0, 500]);
});

test("pick: when all are down they are tried all the same", () => {
  const all = [campus("a", false), campus("b", false)];
  expect(pickOrder(all, "a", 0)).toEqual([0, 1]);
});

test("pick: several replicas in the own campus share the calls", () => {
  const all = [campus("a"), campus("a"), campus("b")];
  expect(pickOrder(all, "a", 0)).toEqual([0, 1, 2]);
  expect(pickOrder(all, "a", 1)).toEqual([1, 0, 2]);
});

test("pick: a blocked campus comes last, even when it is the own one and others are down", () => {
  const all = [campus("a", false), campus("b"), campus("c")];
  expect(pickOrder(all, "b", 0, [false, true, false])).toEqual([2, 0, 1]);
  expect(pickOrder(all, "c", 0, [false, true, false])).toEqual([2, 0, 1]);
});

test("pick: the others take the load of a blocked campus evenly", () => {
  const all = [campus("a"), campus("b"), campus("c")];
  const first = [0, 0, 0];
  for (let turn = 0; turn < 1000; turn++)
    first[pickOrder(all, "b", turn, [false, true, false])[0]!]! += 1;
  expect(first).toEqual([500, 0, 500]);
});

test("pick: a wanted order keeps its order, with the blocked one last", () => {
  const all = [campus("a"), campus("b"), campus("c", false)];
  expect(usableFirst(all, [1, 2, 0], [false, true, false])).toEqual([0, 2, 1]);
  expect(usableFirst(all, [1], [false, true, false])).toEqual([1]);
});
