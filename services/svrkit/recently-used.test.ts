import { expect, test } from "vitest";
import { RecentlyUsed } from "./recently-used.ts";

test("recently used: what was used longest ago makes room", () => {
  const map = new RecentlyUsed<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  map.get("a");
  map.set("c", 3);
  expect([map.get("a"), map.get("b"), map.get("c")]).toEqual([1, undefined, 3]);
});

test("recently used: setting again is using", () => {
  const map = new RecentlyUsed<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  map.set("a", 3);
  map.set("c", 4);
  expect([map.get("a"), map.get("b")]).toEqual([3, undefined]);
});
