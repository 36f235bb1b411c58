import { expect, test } from "vitest";
import { conversationOf, usersOf } from "./client.ts";

test("conversation: both sides name the same one", () => {
  expect(conversationOf("07au1-2", "07bu1-1")).toBe("c:07au1-2|07bu1-1");
  expect(conversationOf("07bu1-1", "07au1-2")).toBe("c:07au1-2|07bu1-1");
  expect(usersOf("c:07au1-2|07bu1-1")).toEqual(["07au1-2", "07bu1-1"]);
});

test("conversation: with oneself", () => {
  expect(usersOf(conversationOf("07au1-2", "07au1-2"))).toEqual(["07au1-2", "07au1-2"]);
});

test.each(["", "c:", "c:a", "c:b|a", "c:a|b|c", "c:|", "07ag1-1", "x:a|b"])(
  "conversation: %j is none",
  (text) => {
    expect(usersOf(text)).toEqual([]);
  },
);
