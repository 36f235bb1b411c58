/** What an error of a call costs, and what it keeps. */
import { expect, test } from "vitest";
import { RpcError } from "./errors.ts";

test("an answer is not asked where it was thrown, what nobody foresaw is", () => {
  const limit = Error.stackTraceLimit;
  expect(new RpcError("OVERLOADED", "full").stack).not.toContain("\n");
  expect(new RpcError("INTERNAL", "a defect").stack).toContain("errors.test.ts");
  expect(RpcError.from(new TypeError("no such")).cause).toMatchObject({ message: "no such" });
  expect(Error.stackTraceLimit).toBe(limit);
});
