import { afterAll, beforeAll, expect, test } from "vitest";
import { Conversation } from "../../protos/gen/tricampus/client/v1/conversation_codec.ts";
import { Group } from "../../protos/gen/tricampus/client/v1/group_codec.ts";
import { makeSendRequest, Text } from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { GroupData, makeReadGroupRequest } from "../../protos/gen/tricampus/data/v1/group_codec.ts";
import { Consistency, InboxData } from "../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { Router } from "../../protos/gen/tricampus/router/v1/router_codec.ts";
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
  const request = makeSendRequest({ clientMessageId, text: "hello", to });
  return campuses.callee("text", "access").call(Text.send, request, campuses.ticket(from));
}

function read(userId: string, conversationId: string, value: number) {
  const settings = [{ conversationId, setting: { case: "readSequence" as const, value } }];
  const conversation = campuses.callee("conversation", "access");
  return conversation.call(Conversation.set, { settings }, campuses.ticket(userId));
}

async function inbox(userId: string) {
  const consistency = Consistency.STRONG;
  const question = { userId, afterVersion: 0, limit: 100, consistency };
  const inboxes = campuses.callee("inbox-data");
  const { version, rows } = await inboxes.call(
    InboxData.changes,
    question,
    campuses.ticket(userId),
  );
  const told = rows.flatMap(({ row }) =>
    row?.case === "setting" && row.value.setting?.case === "peerReadSequence"
      ? [row.value.setting.value]
      : [],
  );
  return { version, told };
}

test("read receipts: who was sent nothing writes into no inbox, whatever number it names", async () => {
  const [ann, eve] = ["07arr-ann", "07arr-eve"];
  await send(eve, { case: "userId", value: ann }, "k1");
  const before = await inbox(ann);
  for (const n of [1, 2, Number.MAX_SAFE_INTEGER]) await read(eve, conversationOf(ann, eve), n);
  expect(await inbox(ann)).toEqual(before);
  await read(eve, conversationOf(eve, "07arr-nobody"), 7);
  expect((await inbox("07arr-nobody")).version).toBe(0);
});

test("read receipts: more than was delivered tells what was delivered, once", async () => {
  const [bob, cid] = ["07arr-bob", "07arr-cid"];
  const conversationId = conversationOf(bob, cid);
  await send(bob, { case: "userId", value: cid }, "k1");
  await send(bob, { case: "userId", value: cid }, "k2");
  await send(cid, { case: "userId", value: bob }, "k3");
  const online = [{ number: 1, userId: bob, device: "phone" }];
  await campuses.callee("router", "access").call(Router.register, {
    ...{ access: "b/access#1", campus: "b", online, offline: [], complete: true },
  });
  await read(cid, conversationId, 1);
  expect((await inbox(bob)).told).toEqual([1]);
  await read(cid, conversationId, 3); // a device has read its own message, too
  const after = await inbox(bob);
  expect(after.told).toEqual([2]);
  await read(cid, conversationId, Number.MAX_SAFE_INTEGER);
  expect(await inbox(bob)).toEqual(after);
  const pushed = () =>
    campuses.pushes.flatMap(({ settings }) => settings.map(({ setting }) => setting?.value));
  await expect.poll(pushed).toEqual([1, 2]);
});

test("read receipts: nobody has read more of a group than it has", async () => {
  const [dan, fay] = ["07arr-dan", "07arr-fay"];
  const request = { title: "Harbour", members: [fay], clientRequestId: "r1" };
  const { groupId } = await campuses
    .callee("group", "access")
    .call(Group.create, request, campuses.ticket(dan));
  await send(dan, { case: "groupId", value: groupId }, "k1");
  const newest = async () => {
    const request = makeReadGroupRequest({ groupId, consistency: Consistency.STRONG });
    const groups = campuses.callee("group-data", "fanout");
    return (await groups.call(GroupData.read, request, {})).lastSequence;
  };
  await expect.poll(newest, { timeout: 5_000 }).toBe(2); // the notice that it was made, and k1
  await read(fay, groupId, 9);
  const groups = campuses.callee("group-data", "conversation");
  const asked = campuses.ticket(dan);
  const { positions } = await groups.call(GroupData.readPositions, { groupId }, asked);
  expect(positions).toMatchObject([{ userId: fay, sequence: 2 }]);
});
