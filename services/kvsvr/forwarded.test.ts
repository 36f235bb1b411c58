import { expect, test } from "vitest";
import { RpcError } from "../svrkit/errors.ts";
import { noRoom } from "../svrkit/room.ts";
import { mayBeDone, refusalOf } from "./forwarded.ts";

test.each([
  [new RpcError("OVERLOADED", "too much to do"), false],
  [new RpcError("UNAVAILABLE", "the connection ended"), true],
  [new RpcError("DEADLINE_EXCEEDED", "late"), true],
  [new RpcError("NO_QUORUM", "nobody voted"), true],
  [new Error("anything else"), true],
])("S7: whether a write that was passed on may be done, after %s", (failure, expected) => {
  expect(mayBeDone(failure)).toBe(expected);
});

test("S4: a write that may be done is not said to be refused, one that was not passed on is", () => {
  const refusals = [noRoom("it changes too often", 0), new RpcError("RESOURCE_EXHAUSTED", "wait")];
  for (const refusal of refusals) {
    expect(refusalOf({ mayBeDone: false }, refusal)).toBe(refusal);
    expect(refusalOf({ mayBeDone: true }, refusal)).toMatchObject({
      ...{ code: "UNAVAILABLE", retryable: true, message: refusal.message },
    });
  }
});
