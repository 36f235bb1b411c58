import { expect, test } from "vitest";
import { rangeOf } from "./range.ts";

test.each([
  [undefined, "whole"],
  ["bytes=0-", { start: 0, last: 99 }],
  ["bytes=10-19", { start: 10, last: 19 }],
  ["bytes=99-", { start: 99, last: 99 }],
  ["bytes=90-1000", { start: 90, last: 99 }],
  ["bytes=-10", { start: 90, last: 99 }],
  ["bytes=-1000", { start: 0, last: 99 }],
  ["bytes=100-", "none"],
  ["bytes=100-200", "none"],
  ["bytes=-0", "none"],
  ["bytes=20-10", "whole"],
  ["bytes=-", "whole"],
  ["bytes=0-1,5-6", "whole"],
  ["items=0-1", "whole"],
  ["bytes=9999999999999999-", "whole"],
])("range: %s of 100 bytes", (header, expected) => {
  expect(rangeOf(header, 100)).toEqual(expected);
});
