import { expect, test } from "vitest";
import { makeContent } from "../../protos/gen/tricampus/client/v1/content_codec.ts";
import { makeInboxMessage, NoticeKind } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { hookEntryOf } from "./hook-streams.ts";

const sent = makeInboxMessage({ conversationId: "g", sequence: 4, senderId: "ann", text: "hello" });
const value = { messageId: "m2", sequence: 2, senderId: "ann" };
const content = makeContent({ body: { case: "recall", value } });
const recall = makeInboxMessage({ conversationId: "g", sequence: 5, senderId: "ann", content });
const notice = { kind: NoticeKind.MUTED, userId: "z", untilMs: 9 };
const changed = makeInboxMessage({ conversationId: "g", sequence: 6, notice });

test("hooks: pushes are told of what rings, and by name of what was taken back", () => {
  expect(hookEntryOf("events", [sent, recall, changed], "")).toEqual({
    ...{ messages: [sent, recall, changed], recipientId: "", recalled: [] },
  });
  expect(hookEntryOf("pushes", [sent, recall, changed], "")).toEqual({
    ...{ messages: [sent], recipientId: "", recalled: ["g#2"] },
  });
  expect(hookEntryOf("pushes", [changed], "")).toBeUndefined();
});

test("hooks: a recall alone is no message to be rung for, and asks for the members of no group", () => {
  const alone = { messages: [], recalled: ["g#2"] };
  expect(hookEntryOf("pushes", [recall], "")).toEqual({ ...alone, recipientId: "ann" });
  expect(hookEntryOf("pushes", [recall], "bob")).toEqual({ ...alone, recipientId: "bob" });
});

test("hooks: nobody is rung for history that is imported; events have it", () => {
  const old = makeInboxMessage({ ...sent, acceptedAtMs: 5, committedAtMs: 9 });
  expect(hookEntryOf("pushes", [old], "bob")).toBeUndefined();
  expect(hookEntryOf("pushes", [old, sent], "bob")?.messages).toEqual([sent]);
  expect(hookEntryOf("events", [old], "bob")?.messages).toEqual([old]);
});
