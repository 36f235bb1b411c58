import { expect, test } from "vitest";
import { makeContent } from "../../../protos/gen/tricampus/client/v1/content_codec.ts";
import {
  makeSendRequest,
  type SendRequest,
} from "../../../protos/gen/tricampus/client/v1/text_codec.ts";
import {
  makeGroupMemberRecord,
  makeGroupProfile,
  makeMembershipReply,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { makeCommittedMessage } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { checkSend, refusalInGroup, requireSameMessage, TEXT_BYTES_MAX } from "./accept.ts";

const DENIED = ["PERMISSION_DENIED"];
interface Situation {
  allMuted?: boolean;
  mutedUntilMs?: number;
  mentionsAll?: boolean;
}

const fine = makeSendRequest({
  clientMessageId: "k1",
  text: "hello",
  to: { case: "userId", value: "07au1-2" },
});

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
  expect(codeOf(() => checkSend({ ...fine, ...change }, "access"))).toBe(code);
});

test.each([
  ["the same", {}, "taken"],
  ["under a new message id", { messageId: "m2", acceptedAtMs: 9 }, "taken"],
  ["another text", { text: "bye" }, "INVALID_ARGUMENT"],
  ["another recipient", { recipientId: "07au1-3" }, "INVALID_ARGUMENT"],
  ["another conversation", { conversationId: "c:x|y" }, "INVALID_ARGUMENT"],
])("send again: %s", (_what, change, code) => {
  const committed = makeCommittedMessage({
    ...{ messageId: "m1", conversationId: "c:a|b", clientMessageId: "k1", senderId: "a" },
    ...{ recipientId: "b", text: "hello", acceptedAtMs: 5 },
  });
  expect(codeOf(() => requireSameMessage(committed, { ...committed, ...change }))).toBe(code);
});

// In a group that olga owns, with adam as an admin; max is muted until 9.
test.each<[what: string, facts: object, expected: string[]]>([
  ["any message", {}, ["taken", "taken", "taken", "PERMISSION_DENIED"]],
  ["while all are muted", { allMuted: true }, ["taken", "taken", ...DENIED, ...DENIED]],
  ["from a muted member", { mutedUntilMs: 9 }, ["taken", "taken", ...DENIED, ...DENIED]],
  ["when the mute is over", { mutedUntilMs: 8 }, ["taken", "taken", "taken", ...DENIED]],
  ["that mentions all", { mentionsAll: true }, ["taken", "taken", ...DENIED, ...DENIED]],
])(
  "send into a group: %s",
  (_what, { allMuted, mutedUntilMs, mentionsAll }: Situation, expected) => {
    const outcomes = ["olga", "adam", "max", "sam"].map((userId) => {
      const profile = makeGroupProfile({ ownerId: "olga", allMuted: allMuted ?? false });
      const muted = { admin: userId === "adam", mutedUntilMs: mutedUntilMs ?? 0 };
      const record = makeGroupMemberRecord({ userId, ...muted });
      const isMember = userId !== "sam";
      const membership = isMember ? { member: true, profile, record } : {};
      const reply = makeMembershipReply({ groupExists: true, ...membership });
      const content = makeContent({ mentionsAll: mentionsAll ?? false });
      const message = makeCommittedMessage({ conversationId: "g", senderId: userId, content });
      return refusalInGroup(reply, message, 8)?.code ?? "taken";
    });
    expect(outcomes).toEqual(expected);
  },
);
