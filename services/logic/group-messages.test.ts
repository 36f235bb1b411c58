import { afterAll, beforeAll, expect, test } from "vitest";
import {
  Group,
  makeSetGroupProfileRequest,
} from "../../protos/gen/tricampus/client/v1/group_codec.ts";
import {
  type InboxMessage,
  makeInboxMessage,
  NoticeKind,
  Sync,
} from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { makeSendRequest, Text } from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import {
  encodeGroupEntry,
  GroupData,
  type GroupEntry,
  GroupEntryKind,
  makeApplyEntriesRequest,
  makeGroupEntry,
  makeGroupMemberRecord,
  makeGroupMessagesRequest,
} from "../../protos/gen/tricampus/data/v1/group_codec.ts";
import { InboxData, makeCommittedMessage } from "../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { ID_BYTES_MAX as QUEUE_ID_BYTES_MAX } from "../queue/limits.ts";
import { toBytes } from "../svrkit/codec.ts";
import { type Campuses, startCampuses } from "./testing/campuses.ts";

const MEMBERS_MAX = 6;

let campuses: Campuses;
let users = 0;

beforeAll(async () => {
  const membersMax = MEMBERS_MAX;
  campuses = await startCampuses({ group: { membersMax } });
  await campuses.startFanout({ membersMax });
});
afterAll(async () => {
  await campuses.close();
});

/** Tests share the campuses and take users of their own. */
const newUser = () => `07au2-${(users++).toString(36)}`;
const newUsers = (count: number) => Array.from({ length: count }, newUser);

async function create(creator: string, members: string[], clientRequestId = "r1") {
  const request = { title: "Harbour", members, clientRequestId };
  const group = campuses.callee("group", "access");
  return (await group.call(Group.create, request, campuses.ticket(creator))).groupId;
}

function send(from: string, groupId: string, id: string, campus = "a") {
  const to = { case: "groupId" as const, value: groupId };
  const request = makeSendRequest({ clientMessageId: id, text: `text of ${id}`, to });
  return campuses.callee("text", "access", campus).call(Text.send, request, campuses.ticket(from));
}

function change(method: typeof Group.join | typeof Group.leave, user: string, groupId: string) {
  const group = campuses.callee("group", "access");
  return group.call(method, { groupId, clientRequestId: "" }, campuses.ticket(user));
}

async function syncAll(userId: string) {
  const sync = campuses.callee("sync", "access");
  const request = { snapshot: Buffer.alloc(0), limit: 1_000, allParts: false };
  return (await sync.call(Sync.sync, request, campuses.ticket(userId, "new"))).messages;
}

const KIND_NAMES = Object.fromEntries(Object.entries(NoticeKind).map(([name, n]) => [n, name]));
const show = (messages: readonly InboxMessage[]) =>
  messages.map((m) => `${m.sequence} ${m.notice ? KIND_NAMES[m.notice.kind] : m.clientMessageId}`);

async function expectInbox(userId: string, expected: string[]) {
  await expect.poll(async () => show(await syncAll(userId)), { timeout: 5_000 }).toEqual(expected);
}

async function allConsumed(groupId: string) {
  const last = () => campuses.queue.entries(groupId).length;
  await expect.poll(() => campuses.queue.consumed(groupId), { timeout: 5_000 }).toBe(last());
}

test("groups: every member gets every message once, in one order, the sender too", async () => {
  const [ann, bob, cid] = newUsers(3) as [string, string, string];
  const groupId = await create(ann, [bob, cid]);
  expect(await send(ann, groupId, "k1")).toMatchObject({ conversationId: groupId, sequence: 0 });
  await Promise.all(
    Array.from({ length: 30 }, (_, i) =>
      send([ann, bob, cid][i % 3]!, groupId, `p${i}`, "abc"[i % 3]),
    ),
  );
  await allConsumed(groupId);
  const order = show(await syncAll(ann));
  expect(order.slice(0, 2)).toEqual(["1 CREATED", "2 k1"]);
  expect(order.map((line) => Number(line.split(" ")[0]))).toEqual(order.map((_, i) => i + 1));
  expect(new Set(order.map((line) => line.split(" ")[1])).size).toBe(32);
  for (const user of [bob, cid]) expect(show(await syncAll(user))).toEqual(order);
});

test("groups: creating again with the same request id gives the same group", async () => {
  const [ann, bob] = newUsers(2) as [string, string];
  const groupId = await create(ann, [bob]);
  expect(await create(ann, [bob])).toBe(groupId);
  expect(await create(ann, [bob], "r2")).not.toBe(groupId);
  await allConsumed(groupId);
  await expectInbox(bob, ["1 CREATED", "1 CREATED"]);
});

test("groups: joining and leaving decide which messages a member gets", async () => {
  const [ann, bob] = newUsers(2) as [string, string];
  const groupId = await create(ann, []);
  await send(ann, groupId, "k1");
  expect(await change(Group.join, bob, groupId)).toEqual({ sequence: 3 });
  await send(bob, groupId, "k2");
  expect(await change(Group.leave, bob, groupId)).toEqual({ sequence: 5 });
  await send(ann, groupId, "k3");
  expect(await change(Group.join, bob, groupId)).toEqual({ sequence: 7 });
  await send(ann, groupId, "k4");
  await allConsumed(groupId);
  await expectInbox(bob, ["3 JOINED", "4 k2", "5 LEFT", "7 JOINED", "8 k4"]);
  const all = ["1 CREATED", "2 k1", "3 JOINED", "4 k2", "5 LEFT", "6 k3", "7 JOINED", "8 k4"];
  await expectInbox(ann, all);
});

test("groups: joining twice is joining once; a stranger cannot leave", async () => {
  const [ann, bob] = newUsers(2) as [string, string];
  const groupId = await create(ann, []);
  const joined = await change(Group.join, bob, groupId);
  expect(await change(Group.join, bob, groupId)).toEqual(joined);
  const leave = change(Group.leave, newUser(), groupId);
  await expect(leave).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
});

test("groups: a full group takes nobody", async () => {
  const [ann, ...others] = newUsers(MEMBERS_MAX) as [string, ...string[]];
  const full = { code: "RESOURCE_EXHAUSTED" };
  await expect(create(ann, [...others, newUser()])).rejects.toMatchObject(full);
  const groupId = await create(ann, others);
  await expect(change(Group.join, newUser(), groupId)).rejects.toMatchObject(full);
  await change(Group.leave, others[0]!, groupId);
  await change(Group.join, newUser(), groupId);
});

test("groups: only members send, and see who is a member", async () => {
  const [ann, bob, eve] = newUsers(3) as [string, string, string];
  const groupId = await create(ann, [bob]);
  const group = campuses.callee("group", "access");
  const list = await group.call(Group.listMembers, { groupId }, campuses.ticket(bob));
  expect(list.title).toBe("Harbour");
  expect(list.members.map((m) => m.userId).sort()).toEqual([ann, bob].sort());
  const denied = { code: "PERMISSION_DENIED" };
  await expect(send(eve, groupId, "k1")).rejects.toMatchObject(denied);
  const spied = group.call(Group.listMembers, { groupId }, campuses.ticket(eve));
  await expect(spied).rejects.toMatchObject(denied);
  const unknown = send(ann, "07gx-nothing", "k2");
  await expect(unknown).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("M1: who left gets the first answer when it resends what it sent as a member", async () => {
  const [ann, bob] = newUsers(2) as [string, string];
  const groupId = await create(ann, [bob]);
  const first = await send(bob, groupId, "k1");
  await change(Group.leave, bob, groupId);
  expect(await send(bob, groupId, "k1")).toEqual(first);
  await expect(send(bob, groupId, "k2")).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  await allConsumed(groupId);
  await expectInbox(ann, ["1 CREATED", "2 k1", "3 LEFT"]);
});

test("M2: an entry that lies in the queue twice is numbered once", async () => {
  const [ann, bob] = newUsers(2) as [string, string];
  const groupId = await create(ann, [bob]);
  await send(ann, groupId, "k1");
  await allConsumed(groupId);
  campuses.queue.put(groupId, campuses.queue.entries(groupId)[1]!);
  await send(ann, groupId, "k2");
  await allConsumed(groupId);
  campuses.queue.put(groupId, campuses.queue.entries(groupId)[0]!);
  await allConsumed(groupId);
  await expectInbox(bob, ["1 CREATED", "2 k1", "3 k2"]);
});

test("M3: a worker that takes over delivers what was numbered, and nothing twice", async () => {
  const [ann, bob, cid] = newUsers(3) as [string, string, string];
  const groupId = await create(ann, [bob]);
  await send(ann, groupId, "k1");
  await allConsumed(groupId);
  await campuses.stopFanout();
  await leaveHalfway(groupId, { ann, bob, cid });
  await send(ann, groupId, "k3");
  campuses.queue.forgetConsumed();
  await campuses.startFanout({ membersMax: MEMBERS_MAX });
  await expectInbox(ann, ["1 CREATED", "2 k1", "3 k2", "4 JOINED", "5 k3"]);
  await expectInbox(bob, ["1 CREATED", "2 k1", "3 k2", "4 JOINED", "5 k3"]);
  await expectInbox(cid, ["4 JOINED", "5 k3"]);
});

test("M2: an inbox that lacks messages noted as delivered gets them first", async () => {
  const [ann, bob] = newUsers(2) as [string, string];
  const groupId = await create(ann, [bob]);
  await allConsumed(groupId);
  await campuses.stopFanout();
  const slots = campuses.queue.entries(groupId).length;
  campuses.queue.put(groupId, { id: Buffer.from("x"), payload: Buffer.alloc(0) });
  const message = makeInboxMessage({
    ...{ messageId: `${groupId}-2`, conversationId: groupId, sequence: 2, senderId: ann },
    ...{ clientMessageId: "k1", text: "x", acceptedAtMs: 1 },
  });
  const step = makeApplyEntriesRequest({
    ...{ groupId, fromSlot: slots, throughSlot: slots + 1, lastSequence: 1, messages: [message] },
    deliveredSequence: 2,
  });
  await campuses.callee("group-data", "fanout").call(GroupData.apply, step);
  await campuses.startFanout({ membersMax: MEMBERS_MAX });
  await send(ann, groupId, "k2");
  for (const user of [ann, bob]) await expectInbox(user, ["1 CREATED", "2 k1", "3 k2"]);
});

/** What a worker leaves that dies after numbering two entries and delivering one to one member. */
async function leaveHalfway(groupId: string, users: { ann: string; bob: string; cid: string }) {
  const message = (sequence: number, clientMessageId: string) =>
    makeInboxMessage({
      ...{ messageId: `${groupId}-${sequence}`, conversationId: groupId, sequence },
      ...{ senderId: users.ann, clientMessageId, text: "x", acceptedAtMs: 1 },
    });
  const joined = { kind: NoticeKind.JOINED, userId: users.cid, untilMs: 0 };
  const messages = [message(3, "k2"), { ...message(4, ""), notice: joined }];
  const groups = campuses.callee("group-data", "fanout");
  const slots = campuses.queue.entries(groupId).length;
  for (const { messageId } of messages) {
    campuses.queue.put(groupId, { id: Buffer.from(messageId), payload: Buffer.alloc(0) });
  }
  const step = makeApplyEntriesRequest({
    ...{ groupId, fromSlot: slots, throughSlot: slots + 2, lastSequence: 2, messages },
    members: [makeGroupMemberRecord({ userId: users.cid, sinceSequence: 4 })],
    deliveredSequence: 2,
  });
  const { applied } = await groups.call(GroupData.apply, step);
  expect(applied).toBe(true);
  const target = { userId: users.bob, fromSequence: 2, allowSkip: false, throughSequence: 3 };
  const delivery = { conversationId: groupId, messages, targets: [target] };
  await campuses
    .callee("inbox-data", "fanout")
    .call(InboxData.deliver, { deliveries: [delivery] }, {});
}

test("M1: a group message that did not reach the queue is put there by the sender's sync", async () => {
  const [ann, bob] = newUsers(2) as [string, string];
  const groupId = await create(ann, [bob]);
  const message = makeCommittedMessage({
    ...{ messageId: `m-${ann}-k1`, conversationId: groupId, clientMessageId: "k1", senderId: ann },
    ...{ text: "hello", acceptedAtMs: Date.now() - 6_000 },
  });
  const inboxes = campuses.callee("inbox-data", "text");
  await inboxes.call(InboxData.commit, { message }, campuses.ticket(ann));
  await syncAll(ann);
  await expectInbox(bob, ["1 CREATED", "2 k1"]);
  await syncAll(ann);
  expect(campuses.queue.entries(groupId)).toHaveLength(2);
});

test("M4: numbering a group's messages is for fan-out alone, reading them for members", async () => {
  const [ann, bob] = newUsers(2) as [string, string];
  const groupId = await create(ann, []);
  await allConsumed(groupId);
  const denied = { code: "PERMISSION_DENIED" };
  const groups = campuses.callee("group-data", "text");
  const request = makeGroupMessagesRequest({ groupId });
  const read = (user: string) => groups.call(GroupData.messages, request, campuses.ticket(user));
  await expect(read(bob)).rejects.toMatchObject(denied);
  expect((await read(ann)).messages).toHaveLength(1);
  const step = makeApplyEntriesRequest({ groupId, throughSlot: 1 });
  await expect(groups.call(GroupData.apply, step, campuses.ticket(ann))).rejects.toMatchObject(
    denied,
  );
});

test("groups: what a full queue does not take is carried on once it is committed, else refused before", async () => {
  const [ann, bob] = newUsers(2) as [string, string];
  const groupId = await create(ann, [bob]);
  await allConsumed(groupId);
  campuses.queue.isFull = true;
  const taken = { code: "UNAVAILABLE", message: expect.stringContaining("the message is taken") };
  await expect(send(ann, groupId, "k1")).rejects.toMatchObject(taken);
  await expect(send(ann, groupId, "k2")).rejects.toMatchObject({ code: "OVERLOADED" });
  const inboxes = campuses.callee("inbox-data", "text");
  const committed = (clientMessageId: string) =>
    inboxes.call(InboxData.committed, { clientMessageId }, campuses.ticket(ann));
  expect(await committed("k1")).toMatchObject({ existed: true });
  expect(await committed("k2")).toMatchObject({ existed: false });
  campuses.queue.isFull = false;
  await expectInbox(bob, ["1 CREATED", "2 k1"]);
});

test("groups: a request id has the outcome of what was asked under it, and of nothing else", async () => {
  const [ann, bob] = newUsers(2) as [string, string];
  const groupId = await create(ann, [bob]);
  const group = campuses.callee("group", "access");
  const ticket = campuses.ticket(ann);
  const under = { groupId, clientRequestId: "🌊".repeat(64) };
  const rename = (title: string) =>
    group.call(Group.setProfile, makeSetGroupProfileRequest({ ...under, title }), ticket);
  const mute = (forMs: number) => group.call(Group.mute, { ...under, userId: bob, forMs }, ticket);
  const muteAll = (muted: boolean) => group.call(Group.muteAll, { ...under, muted }, ticket);
  expect(await rename("Quay")).toEqual({ sequence: 2 });
  expect(await muteAll(true)).toEqual({ sequence: 3 });
  expect(await rename("Pier")).toEqual({ sequence: 4 });
  expect(await mute(60_000)).toEqual({ sequence: 5 });
  expect(await mute(0)).toEqual({ sequence: 6 });
  expect(await rename("Quay")).toEqual({ sequence: 2 });
  expect(await muteAll(true)).toEqual({ sequence: 3 });
  expect(await mute(60_000)).toEqual({ sequence: 5 });
  const info = await group.call(Group.get, { groupId }, ticket);
  expect(info).toMatchObject({ title: "Pier", allMuted: true });
  // The real queue takes no longer ones.
  for (const { id } of campuses.queue.entries(groupId))
    expect(id.length).toBeLessThanOrEqual(QUEUE_ID_BYTES_MAX);
});

test("groups: a change that an earlier version put into the stream has its outcome for who asks again", async () => {
  const [ann, bob] = newUsers(2) as [string, string];
  const groupId = await create(ann, [bob]);
  const put = (entry: Partial<GroupEntry>) => {
    const payload = toBytes(encodeGroupEntry, makeGroupEntry({ ...entry, userId: ann }));
    campuses.queue.put(groupId, { id: Buffer.from(entry.id!), payload });
  };
  put({ kind: GroupEntryKind.KICK, subjectId: bob, id: `${ann}:r7:${bob}` });
  put({ kind: GroupEntryKind.LEAVE, id: `${ann}:r8` });
  await allConsumed(groupId);
  const group = campuses.callee("group", "access");
  const kick = { groupId, userId: bob, clientRequestId: "r7" };
  expect(await group.call(Group.kick, kick, campuses.ticket(ann))).toEqual({ sequence: 2 });
  const leave = { groupId, clientRequestId: "r8" };
  expect(await group.call(Group.leave, leave, campuses.ticket(ann))).toEqual({ sequence: 3 });
});
