import { expect, test } from "vitest";
import { MomentVisibilityKind as Kind } from "../../../../protos/gen/tricampus/client/v1/moments_codec.ts";
import { audienceOf, deliveryOf } from "./audience.ts";

const contacts = new Map([
  ["cid", ["work"]],
  ["ann", ["family", "work"]],
  ["bob", []],
]);

test.each([
  ["all contacts", Kind.CONTACTS, [], ["ann", "bob", "cid"], false],
  ["nothing said", Kind.UNSPECIFIED, [], ["ann", "bob", "cid"], false],
  ["some tags", Kind.TAGS, ["family", "club"], ["ann"], true],
  ["no tag", Kind.TAGS, [], [], true],
  ["all but some", Kind.ALL_BUT_TAGS, ["work"], ["bob"], true],
  ["nobody", Kind.PRIVATE, [], [], true],
])("audience: %s", (_, kind, tagIds, viewers, isFixed) => {
  expect(audienceOf({ kind, tagIds }, { contacts })).toEqual({ viewers, isFixed });
});

test("delivery: so many get it, the others pull, and the author has its own", () => {
  expect(deliveryOf("me", ["a", "b", "c"], 2)).toEqual({ to: ["me", "a", "b"], pulling: ["c"] });
  expect(deliveryOf("me", ["a"], 2)).toEqual({ to: ["me", "a"], pulling: [] });
  expect(deliveryOf("me", ["a"], 0)).toEqual({ to: ["me"], pulling: ["a"] });
});
