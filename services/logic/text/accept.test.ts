import { expect, test } from "vitest";
import type { SendRequest } from "../../../protos/gen/tricampus/client/v1/text_codec.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { checkSend, requireSameMessage, TEXT_BYTES_MAX } from "./accept.ts";

const fine: SendRequest = {
  clientMessageId: "k1",
  text: "hello",
  to: { case: "userId", value: "07au1-2" },
};

function codeOf(run: () => unknown): string {
  try {
    run();
    return "taken";
  } catch (error) {
    return error instanceof RpcError ? error.code : String(error);
  }
}

test.each<[what: string, change: Partial<SendRequest>, code: string]>([
  ["as it should be", {}, "taken"],
  ["the longest text", { text: "x".repeat(TEXT_BYTES_MAX) }, "taken"],
  ["one byte more", { text: "x".repeat(TEXT_BYTES_MAX + 1) }, "TOO_LARGE"],
  ["too many bytes, not characters", { text: "é".repeat(TEXT_BYTES_MAX / 2 + 1) }, "TOO_LARGE"],
  ["no text", { text: "" }, "INVALID_ARGUMENT"],
  ["no client message id", { clientMessageId: "" }, "INVALID_ARGUMENT"],
  ["64 characters of two units each", { clientMessageId: "😀".repeat(64) }, "taken"],
  ["65 characters", { clientMessageId: "k".repeat(65) }, "INVALID_ARGUMENT"],
  ["no recipient", { to: undefined }, "INVALID_ARGUMENT"],
  ["no user id", { to: { case: "userId", value: "c:a|b" } }, "INVALID_ARGUMENT"],
  ["no group id", { to: { case: "groupId", value: "" } }, "INVALID_ARGUMENT"],
  ["a user name", { to: { case: "userName", value: "ann" } }, "taken"],
  ["an empty user name", { to: { case: "userName", value: "" } }, "INVALID_ARGUMENT"],
])("send: %s", (_what, change, code) => {
  expect(codeOf(() => checkSend({ ...fine, ...change }))).toBe(code);
});

test.each([
  ["the same", {}, "taken"],
  ["under a new message id", { messageId: "m2", acceptedAtMs: 9 }, "taken"],
  ["another text", { text: "bye" }, "INVALID_ARGUMENT"],
  ["another recipient", { recipientId: "07au1-3" }, "INVALID_ARGUMENT"],
  ["another conversation", { conversationId: "c:x|y" }, "INVALID_ARGUMENT"],
])("send again: %s", (_what, change, code) => {
  const committed = {
    ...{ messageId: "m1", conversationId: "c:a|b", clientMessageId: "k1", senderId: "a" },
    ...{ recipientId: "b", text: "hello", acceptedAtMs: 5 },
  };
  expect(codeOf(() => requireSameMessage(committed, { ...committed, ...change }))).toBe(code);
});
