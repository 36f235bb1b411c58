import { expect, test } from "vitest";
import { requireId } from "../arguments.ts";
import { groupIdOf } from "./group-id.ts";

test("group id: the same request names the same group, any other another", () => {
  const id = groupIdOf(7, "07au1-1", "r1");
  expect(groupIdOf(7, "07au1-1", "r1")).toBe(id);
  const others = [
    groupIdOf(7, "07au1-1", "r2"),
    groupIdOf(7, "07au1-2", "r1"),
    groupIdOf(8, "07au1-1", "r1"),
  ];
  expect(new Set([id, ...others]).size).toBe(4);
});

test("group id: looks like an id, and says its home", () => {
  const id = groupIdOf(171, "07au1-1", "r1");
  expect(() => requireId(id, "a group id")).not.toThrow();
  expect(id.slice(0, 3)).toBe("abg");
});

test("group id: creator and request cannot flow into one another", () => {
  expect(groupIdOf(7, "ab", "c")).not.toBe(groupIdOf(7, "a", "bc"));
});
