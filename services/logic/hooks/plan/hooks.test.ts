import { expect, test } from "vitest";
import { makeContent } from "../../../../protos/gen/tricampus/client/v1/content_codec.ts";
import {
  makeInboxMessage,
  NoticeKind,
} from "../../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { afterFailure, pauseAfter } from "./attempts.ts";
import { eventOf, kindOf, pushOf } from "./event.ts";

const LIMITS = { attempts: 5, pauseFirstMs: 100, pauseLastMs: 300, waitMaxMs: 60_000 };

test.each([
  [1, 1, 100],
  [2, 1, 200],
  [4, 1, 300],
  [2, 0, 100],
  [9_999, 1, 300],
])("attempts: after %i failures (jitter %i): %s ms", (failures, jitter, pause) => {
  expect(pauseAfter(failures, LIMITS, jitter)).toBe(pause);
});

test.each([
  [4, 4, true, 1, "again"],
  [5, 5, true, 1, "give up"],
  [5, 5, false, 1, "again"],
  [5, 5, true, 2, "apart"],
  [5, 0, false, 2, "apart"],
  [4, 4, true, 2, "again"],
  [99, 4, true, 1, "again"],
  [99, 99, false, 1, "again"],
])(
  "attempts: %i failures, %i of them alone, others taken: %s, %i items: %s",
  (failures, alone, othersTaken, items, next) => {
    expect(afterFailure({ failures, alone, othersTaken, items }, LIMITS)).toBe(next);
  },
);

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
