import { expect, test } from "vitest";
import { ranges } from "./sequences.ts";

test.each([
  { what: "nothing", versions: [], expected: [] },
  { what: "one", versions: [7], expected: [[7, 7]] },
  { what: "close ones, unordered", versions: [9, 3, 60], expected: [[3, 60]] },
  {
    what: "far ones apart",
    versions: [3, 64, 5_000],
    expected: [
      [3, 3],
      [64, 64],
      [5_000, 5_000],
    ],
  },
])("sequence ranges: $what", ({ versions, expected }) => {
  const found = ranges(versions.map((version) => ({ version })));
  expect(found.map(({ first, last }) => [first, last])).toEqual(expected);
});
