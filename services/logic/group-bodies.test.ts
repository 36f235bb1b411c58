/** Bodies that lie in a group's table alone, for whom the message was delivered to. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Group } from "../../protos/gen/tricampus/client/v1/group_codec.ts";
import { Sync } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { makeSendRequest, Text } from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { type Campuses, startCampuses } from "./testing/campuses.ts";

const LARGE = "large ".repeat(1_000);

let campuses: Campuses;
let users = 0;

beforeAll(async () => {
  campuses = await startCampuses();
  await campuses.startFanout();
});
afterAll(async () => {
  await campuses.close();
});

const newUsers = (count: number) =>
  Array.from({ length: count }, () => `07au4-${(users++).toString(36)}`);
const group = () => campuses.callee("group", "access");
const asked = (groupId: string) => ({ groupId, clientRequestId: "" });

/** A group of ann and bob, to which ann has said something large; bob's phone was off. */
async function largeMessage() {
  const [ann, bob, eve] = newUsers(3) as [string, string, string];
  const request = { title: "Harbour", members: [bob], clientRequestId: "r1" };
  const { groupId } = await group().call(Group.create, request, campuses.ticket(ann));
  await send(ann, groupId, "k1", LARGE);
  await expect.poll(() => apartOf(bob)).toEqual([2]);
  return { ann, bob, eve, groupId };
}

function send(from: string, groupId: string, clientMessageId: string, text: string) {
  const to = { case: "groupId" as const, value: groupId };
  const request = makeSendRequest({ clientMessageId, text, to });
  return campuses.callee("text", "access").call(Text.send, request, campuses.ticket(from));
}

/** Numbers of the messages in a user's inbox whose bodies lie elsewhere. */
async function apartOf(userId: string) {
  const request = { snapshot: Buffer.alloc(0), limit: 1_000, allParts: false };
  const ticket = campuses.ticket(userId, "new");
  const { messages } = await campuses.callee("sync", "access").call(Sync.sync, request, ticket);
  return messages.filter((one) => one.apartBytes > 0).map((one) => one.sequence);
}

async function bodies(userId: string, groupId: string, sequences: number[]) {
  const text = campuses.callee("text", "access");
  const request = { groupId, sequences };
  const { messages } = await text.call(Text.bodies, request, campuses.ticket(userId));
  return messages.map((message) => `${message.sequence} ${message.text}`);
}

test("bodies: who was kicked before its device came on has what it was sent, and nothing later", async () => {
  const { ann, bob, eve, groupId } = await largeMessage();
  const kick = { ...asked(groupId), userId: bob };
  await group().call(Group.kick, kick, campuses.ticket(ann));
  await send(ann, groupId, "k2", LARGE);
  await expect.poll(() => apartOf(ann)).toEqual([2, 4]);
  expect(await bodies(bob, groupId, [2, 4])).toEqual([`2 ${LARGE}`]);
  const denied = { code: "PERMISSION_DENIED" };
  await expect(bodies(bob, groupId, [4])).rejects.toMatchObject(denied);
  await expect(bodies(eve, groupId, [2])).rejects.toMatchObject(denied);
});

test("bodies: who left and came back has those of before", async () => {
  const { ann, bob, groupId } = await largeMessage();
  await group().call(Group.leave, asked(groupId), campuses.ticket(bob));
  await send(ann, groupId, "k2", LARGE);
  await group().call(Group.join, asked(groupId), campuses.ticket(bob));
  await send(ann, groupId, "k3", LARGE);
  await expect.poll(() => apartOf(bob)).toEqual([2, 6]);
  expect(await bodies(bob, groupId, [2, 4, 6])).toEqual([`2 ${LARGE}`, `6 ${LARGE}`]);
});

test("bodies: what was sent to a group that is dismissed by then", async () => {
  const { ann, bob, eve, groupId } = await largeMessage();
  await group().call(Group.dismiss, asked(groupId), campuses.ticket(ann));
  expect(await bodies(bob, groupId, [2])).toEqual([`2 ${LARGE}`]);
  await expect(bodies(eve, groupId, [2])).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("bodies: a reply ends at half a MiB, whatever a character takes", async () => {
  const [ann] = newUsers(1) as [string];
  const request = { title: "Harbour", members: [], clientRequestId: "r1" };
  const { groupId } = await group().call(Group.create, request, campuses.ticket(ann));
  const asked = Array.from({ length: 10 }, (_, i) => i + 2);
  const text = "船".repeat(21_800);
  for (const sequence of asked) await send(ann, groupId, `k${sequence}`, text);
  await expect.poll(() => apartOf(ann)).toEqual(asked);
  expect(await bodies(ann, groupId, asked)).toHaveLength(9);
});
