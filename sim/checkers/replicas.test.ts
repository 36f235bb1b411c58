import { expect, test } from "vitest";
import { checkReplicas } from "./replicas.ts";
import { state } from "./testing/lines.ts";

test("replicas checker accepts: the same everywhere, and two of three", () => {
  expect(checkReplicas([state(0, 3), state(1, 3), state(2, 3)])).toEqual([]);
  expect(checkReplicas([state(0, 3), state(2, 3)])).toEqual([]);
});

test("replicas checker rejects: a replica alone, behind, without the value, or with another one", () => {
  expect(checkReplicas([state(0, 3)])).not.toEqual([]);
  expect(checkReplicas([state(0, 3), state(1, 2)])).not.toEqual([]);
  expect(checkReplicas([state(0, 3), state(1, 3, { held: 2 })])).not.toEqual([]);
  expect(checkReplicas([state(0, 3), state(1, 3, { digest: 5 })])).not.toEqual([]);
  const table = { model: "table" as const, value: null };
  const one = state(0, 3, { ...table, rows: [["a", "x", 1]] });
  expect(checkReplicas([one, state(1, 3, { ...table, rows: [["a", "y", 1]] })])).not.toEqual([]);
});
