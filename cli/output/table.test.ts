import { expect, test } from "vitest";
import { formatTable } from "./table.ts";

test("table: columns are as wide as what is in them, nothing trails", () => {
  expect(
    formatTable(
      ["campus", "pid"],
      [
        ["a", "123456"],
        ["long-name", ""],
      ],
    ),
  ).toBe("campus     pid\na          123456\nlong-name");
});
