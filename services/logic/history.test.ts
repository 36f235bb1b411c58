/** What has been said, and who has read it, as users ask for it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  Conversation,
  makeHistoryRequest,
} from "../../protos/gen/tricampus/client/v1/conversation_codec.ts";
import { Group } from "../../protos/gen/tricampus/client/v1/group_codec.ts";
import type { ConversationSetting } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { makeSendRequest, Text } from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { conversationOf } from "../data/message/client.ts";
import { type Campuses, startCampuses } from "./testing/campuses.ts";

let campuses: Campuses;

beforeAll(async () => {
  campuses = await startCampuses();
  await campuses.startFanout();
});
afterAll(async () => {
  await campuses.close();
});

type To = ReturnType<typeof makeSendRequest>["to"];

function send(from: string, to: To, clientMessageId: string) {
  const request = makeSendRequest({ clientMessageId, text: clientMessageId, to });
  return campuses.callee("text", "access").call(Text.send, request, campuses.ticket(from));
}

const conversations = () => campuses.callee("conversation", "access");

function set(user: string, conversationId: string, setting: ConversationSetting["setting"]) {
  const settings = [{ conversationId, setting }];
  return conversations().call(Conversation.set, { settings }, campuses.ticket(user));
}

async function history(user: string, conversationId: string, page: object = {}) {
  const request = makeHistoryRequest({ conversationId, ...page });
  const reply = await conversations().call(Conversation.history, request, campuses.ticket(user));
  return { numbers: reply.messages.map(({ sequence }) => sequence), more: reply.more };
}

async function group(owner: string, members: string[]) {
  const request = { title: "Harbour", members, clientRequestId: "r1" };
  const groups = campuses.callee("group", "access");
  return (await groups.call(Group.create, request, campuses.ticket(owner))).groupId;
}

test.each([
  { what: "two", others: [] },
  { what: "a group", others: ["07ah-cid"] },
])(
  "history: of $what, what a user deleted for itself stays deleted, and is the others' still",
  async ({ what, others }) => {
    const [ann, bob] = [`07ah-ann${others.length}`, `07ah-bob${others.length}`];
    const isGroup = what !== "two";
    const conversation = isGroup ? await group(ann, [bob, ...others]) : conversationOf(ann, bob);
    const to: To = isGroup
      ? { case: "groupId", value: conversation }
      : { case: "userId", value: bob };
    for (let i = 1; i <= 6; i++) await send(ann, to, `k${i}`);
    const last = isGroup ? 7 : 6;
    await expect.poll(async () => (await history(bob, conversation)).numbers[0]).toBe(last);
    for (const value of [last, last - 1, last - 3]) {
      await set(bob, conversation, { case: "hiddenSequence", value });
    }
    await set(bob, conversation, { case: "clearedSequence", value: last - 4 });
    expect(await history(bob, conversation)).toEqual({ numbers: [last - 2], more: false });
    // A page of which nothing is left is read on.
    expect(await history(bob, conversation, { limit: 1 })).toMatchObject({ numbers: [last - 2] });
    expect((await history(ann, conversation)).numbers).toHaveLength(last);
  },
);

test("history: of a group's message all may have read it but who sent it", async () => {
  const [ann, bob, cid] = ["07ar-ann", "07ar-bob", "07ar-cid"];
  const groupId = await group(ann, [bob, cid]);
  await send(ann, { case: "groupId", value: groupId }, "k1");
  await expect.poll(async () => (await history(bob, groupId)).numbers[0]).toBe(2);
  for (const user of [ann, bob, cid]) await set(user, groupId, { case: "readSequence", value: 2 });
  const request = { groupId, sequence: 2 };
  const readBy = await conversations().call(Conversation.readBy, request, campuses.ticket(ann));
  expect(readBy.members).toBe(2);
  expect(readBy.userIds.toSorted()).toEqual([bob, cid]);
});
