import { expect, test } from "vitest";
import { describeMessage } from "./message.ts";

const message = {
  messageId: "m1",
  conversationId: "c:u1|u2",
  sequence: 1,
  senderId: "u1",
  clientMessageId: "x",
  text: "hi \u001b[2J there\u0007",
  acceptedAtMs: 0,
  receivedAtMs: 0,
  notice: undefined,
  content: undefined,
  recalled: false,
  apartBytes: 0,
  committedAtMs: 0,
};
const nameOf = (id: string) => (id === "u1" ? "ann" : id);

test("message: a foreign text cannot command the terminal", () => {
  expect(describeMessage(message, nameOf)).toMatch(
    /^\[\d\d:\d\d\] <ann> hi \ufffd\[2J there\ufffd$/,
  );
});

test("message: what a group tells of itself is put into words", () => {
  const notice = {
    ...message,
    conversationId: "g1",
    text: "",
    notice: { kind: 1, userId: "u2", untilMs: 0 },
  } as const;
  expect(describeMessage(notice, nameOf)).toMatch(/\] u2 joined in g1$/);
});
