import { expect, test } from "vitest";
import { groupsThatHold } from "./groups.ts";

const shard = (group: number) => ({ keyspace: 3, first: 0, last: 2_047, group });

test.each([
  ["one without slots has come just now, or is gone", [1, 2, 3], [shard(3)], 0, [1, 3]],
  ["while slots move, any may hold some", [1, 2, 3], [shard(3)], 7, [1, 2, 3]],
  ["what is named nowhere is the first one's", [1, 2], [], 0, [1]],
])("groups: %s", (_, groups, all, move, expected) => {
  expect(groupsThatHold(groups, { all, move })).toEqual(expected);
});
