import { expect, test } from "vitest";
import { sampleInputs } from "../testing/samples.ts";
import { desiredOf, isAsWanted } from "./desired.ts";
import type { Child } from "./observed.ts";

test("desired: no two objects have the same kind and name", () => {
  const names = desiredOf(sampleInputs("n")).map(({ kind, name }) => `${kind}/${name}`);
  expect(new Set(names).size).toBe(names.length);
});

test("desired: as wanted is what has every object with its content, none that leaves, and no other one", () => {
  const wanted = desiredOf(sampleInputs("n"));
  const there = wanted.map(
    ({ key, kind, name, digest, template, campus, workload }): [string, Child] => {
      const facts = { isLeaving: false, isSettled: true, service: undefined, claim: undefined };
      const place = { dataCenter: "main", campus, workload };
      return [
        key,
        { resourceVersion: "1", uid: key, kind, name, digest, template, ...place, ...facts },
      ];
    },
  );
  const [key, first] = there[0]!;
  const others = there.slice(1);
  const isMet = (entries: [string, Child][]) => isAsWanted(wanted, new Map(entries));
  expect(isMet(there)).toBe(true);
  expect(isMet(others)).toBe(false);
  expect(isMet([...others, [key, { ...first, digest: 1 }]])).toBe(false);
  expect(isMet([...others, [key, { ...first, isLeaving: true }]])).toBe(false);
  expect(isMet([...there, ["Service/more", { ...first, name: "more" }]])).toBe(false);
});
