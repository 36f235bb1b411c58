import { expect, test } from "vitest";
import { isNewer } from "./list-watch.ts";

test("versions: decimal ones are compared, others are only the same or not", () => {
  expect(isNewer("10", "9")).toBe(true);
  expect(isNewer("9", "10")).toBe(false);
  expect(isNewer("10", "10")).toBe(false);
  expect(isNewer("123456789012345678901", "123456789012345678900")).toBe(true);
  expect(isNewer("b", "a")).toBe(true);
  expect(isNewer("a", "a")).toBe(false);
});
