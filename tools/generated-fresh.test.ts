import { expect, test } from "vitest";
import { staleFiles } from "./generated-fresh.ts";

test("generated code: equal files are fresh", () => {
  const files = new Map([["protos/gen/a.ts", "a"]]);
  expect(staleFiles(files, new Map(files))).toEqual([]);
});

test("generated code: changed, missing and left over files are named in order", () => {
  const checkedIn = new Map([
    ["c.ts", "old"],
    ["b.ts", "b"],
    ["d.ts", "d"],
  ]);
  const generated = new Map([
    ["d.ts", "d"],
    ["c.ts", "new"],
    ["a.ts", "a"],
  ]);
  expect(staleFiles(checkedIn, generated)).toEqual([
    "a.ts: missing",
    "b.ts: no .proto file generates it any more",
    "c.ts: stale",
  ]);
});
