import { expect, test } from "vitest";
import { type Blocked, Blocks } from "./blocks.ts";

function blocked(name: string): Blocked {
  const [campus = "", service = ""] = name.split("/");
  return { campus, service, untilMs: 1_000, why: "a drill" };
}

test.each([
  ["b", "b", "text", "b"],
  ["b/text", "b", "text", "b/text"],
  ["b/text", "b", "sync", undefined],
  ["b/text b", "b", "text", "b"],
  ["b", "a", "text", undefined],
  ["", "b", "text", undefined],
])("blocks: with %o blocked, what applies to %s/%s is %s", (names, campus, service, applies) => {
  const blocks = new Blocks();
  blocks.set(names.split(" ").filter(Boolean).map(blocked));
  expect(blocks.find(campus, service)).toEqual(applies && blocked(applies));
});

test("blocks: who listens hears of changes, and of nothing else", () => {
  const blocks = new Blocks();
  let heard = 0;
  blocks.onChange(() => {
    heard += 1;
  });
  blocks.set([]);
  expect(heard).toBe(0);
  blocks.set([blocked("b")]);
  blocks.set([blocked("b")]);
  expect(heard).toBe(1);
  blocks.set([]);
  expect(heard).toBe(2);
});
