import { expect, test } from "vitest";
import { makeContent } from "../../../../protos/gen/tricampus/client/v1/content_codec.ts";
import {
  makeInboxMessage,
  NoticeKind,
} from "../../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { pauseAfter } from "./attempts.ts";
import { eventOf, kindOf, pushOf } from "./event.ts";

const LIMITS = { attempts: 5, pauseFirstMs: 100, pauseLastMs: 300 };

test.each([
  [1, 1, false, 100],
  [2, 1, false, 200],
  [4, 1, false, 300],
  [2, 0, false, 100],
  [5, 1, false, undefined],
  [1, 1, true, undefined],
])("attempts: after %i failures (jitter %i, down %s): %s ms", (failures, jitter, isDown, pause) => {
  expect(pauseAfter(failures, LIMITS, { isDown, jitter })).toBe(pause);
});

const sent = makeInboxMessage({
  ...{ conversationId: "c:a|b", sequence: 4, messageId: "m4", clientMessageId: "k", senderId: "a" },
  ...{ text: "hello", acceptedAtMs: 7 },
});
const facts = {
  ...{ id: "c:a|b#4", conversationId: "c:a|b", sequence: 4, messageId: "m4", clientMessageId: "k" },
  ...{ senderId: "a", acceptedAtMs: 7 },
};

test("events: a text, with and without it", () => {
  const event = { event: "message.sent", ...facts, recipientId: "b" };
  expect(eventOf(sent, "b", true)).toEqual({ ...event, text: "hello" });
  expect(eventOf(sent, "b", false)).toEqual(event);
});

test("events: a voice goes without its bytes, a recall says what it takes back", () => {
  const voice = { data: Buffer.alloc(9), mime: "audio/ogg", durationMs: 1_000 };
  const body = { case: "voice" as const, value: voice };
  const event = eventOf({ ...sent, content: makeContent({ body }) }, "b", true);
  expect(event).toMatchObject({ contentKind: "voice", content: { durationMs: 1_000 } });
  expect(event["content"]).not.toHaveProperty("data");
  const recall = {
    case: "recall" as const,
    value: { messageId: "m1", sequence: 1, senderId: "a" },
  };
  const recalled = { ...sent, content: makeContent({ body: recall }) };
  expect(kindOf(recalled)).toBe("message.recalled");
  expect(eventOf(recalled, "b", true)).toMatchObject({ content: { sequence: 1 } });
});

test("events: a notice is a change of its group", () => {
  const notice = { kind: NoticeKind.MUTED, userId: "z", untilMs: 9 };
  const event = eventOf({ ...sent, conversationId: "g", notice }, "", true);
  expect(event).toMatchObject({
    ...{ event: "group.changed", groupId: "g", change: "muted", userId: "z", untilMs: 9 },
  });
});

test("pushes: who is to be rung, and what for", () => {
  const content = makeContent({ mentions: ["c"], mentionsAll: true });
  const push = pushOf({ ...sent, content }, ["b", "c"], { recipientId: "", withText: false });
  const group = { groupId: "c:a|b", mentions: ["c"], mentionsAll: true };
  expect(push).toEqual({ userIds: ["b", "c"], ...facts, ...group });
});
