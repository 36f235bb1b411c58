import { expect, test } from "vitest";
import { makeCommittedMessage } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { numbered } from "../../data/message/client.ts";
import { deliverableAfter } from "./deliverable.ts";

const message = (sequence: number, senderId: string) =>
  numbered(
    makeCommittedMessage({
      ...{ messageId: `m${sequence}`, conversationId: "c:a|b", clientMessageId: `k${sequence}` },
      ...{ senderId, recipientId: senderId === "a" ? "b" : "a", text: "x", acceptedAtMs: 1 },
    }),
    sequence,
  );

// "a2 b3": messages read, by sender and sequence number; the own message is a7, the recipient b.
test.each([
  { what: "all from the sender", mark: 4, page: "a5 a6", expected: "5 6 7", through: 7 },
  { what: "own ones are not delivered", mark: 3, page: "b4 a5 b6", expected: "5 7", through: 7 },
  { what: "only own ones between", mark: 4, page: "b5 b6", expected: "7", through: 7 },
  { what: "the page ends early", mark: 3, page: "a4 b5", expected: "4", through: 5 },
  { what: "a gap ends it", mark: 2, page: "a3 a5 a6", expected: "3", through: 3 },
  {
    what: "the page is newer than the message",
    mark: 5,
    page: "a6 a7 a8",
    expected: "6 7",
    through: 7,
  },
])("deliverable: $what", ({ mark, page, expected, through }) => {
  const messages = page.split(" ").map((m) => message(Number(m.slice(1)), m[0]!));
  const at = { mark, own: message(7, "a"), recipientId: "b" };
  const part = deliverableAfter({ messages, forgotten: false }, at);
  expect(part?.messages.map((m) => m.sequence).join(" ")).toBe(expected);
  expect(part?.through).toBe(through);
});

test.each(["", "a4 a5 a6"])("deliverable: nothing follows the mark (%j)", (page) => {
  const messages = page === "" ? [] : page.split(" ").map((m) => message(Number(m.slice(1)), "a"));
  const at = { mark: 2, own: message(7, "a"), recipientId: "b" };
  expect(deliverableAfter({ messages, forgotten: false }, at)).toBeUndefined();
});

test("deliverable: what is forgotten by age is passed over", () => {
  const messages = [message(5, "a"), message(6, "b")];
  const at = { mark: 2, own: message(7, "a"), recipientId: "b" };
  const part = deliverableAfter({ messages, forgotten: true }, at);
  expect(part?.messages.map((m) => m.sequence)).toEqual([5, 7]);
  expect(part?.through).toBe(7);
});
