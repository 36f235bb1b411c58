import { expect, test } from "vitest";
import { sampleInputs } from "../testing/samples.ts";
import { desiredOf } from "./desired.ts";

test("desired: no two objects have the same kind and name", () => {
  const names = desiredOf(sampleInputs("n")).map(({ kind, name }) => `${kind}/${name}`);
  expect(new Set(names).size).toBe(names.length);
});
