import { afterAll, beforeAll, expect, test } from "vitest";
import {
  Group,
  InviteOutcomeKind,
  makeSetGroupProfileRequest,
} from "../../protos/gen/tricampus/client/v1/group_codec.ts";
import { Sync } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { makeSendRequest, Text } from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { type Campuses, startCampuses } from "./testing/campuses.ts";

let campuses: Campuses;
let users = 0;

beforeAll(async () => {
  campuses = await startCampuses();
  await campuses.startFanout({ acceptAboveMembers: 2 });
});
afterAll(async () => {
  await campuses.close();
});

const newUsers = (count: number) =>
  Array.from({ length: count }, () => `07au3-${(users++).toString(36)}`);
const group = () => campuses.callee("group", "access");

async function create(creator: string, members: string[]) {
  const request = { title: "Harbour", members, clientRequestId: "r1" };
  return (await group().call(Group.create, request, campuses.ticket(creator))).groupId;
}

async function invitationsOf(userId: string) {
  const sync = campuses.callee("sync", "access");
  const request = { snapshot: Buffer.alloc(0), limit: 1_000, allParts: false };
  const { messages } = await sync.call(Sync.sync, request, campuses.ticket(userId, "new"));
  return messages.flatMap(({ content }) =>
    content?.body?.case === "invite" ? [content.body.value] : [],
  );
}

test("M1: an invitation that is asked for twice is sent once, and keeps its first time", async () => {
  const [ann, bob, cid, dan] = newUsers(4) as [string, string, string, string];
  const groupId = await create(ann, [bob]);
  const request = { groupId, userIds: [cid, dan], clientRequestId: "i1" };
  const invite = () => group().call(Group.invite, request, campuses.ticket(ann));
  const { outcomes } = await invite();
  expect(outcomes.map(({ kind }) => kind)).toEqual(Array(2).fill(InviteOutcomeKind.INVITED));
  const [first] = await invitationsOf(cid);
  const title = makeSetGroupProfileRequest({ groupId, title: "Quay", clientRequestId: "t1" });
  await group().call(Group.setProfile, title, campuses.ticket(ann));
  expect((await invite()).outcomes).toEqual(outcomes);
  expect(await invitationsOf(cid)).toEqual([first]);
  expect(await invitationsOf(dan)).toMatchObject([{ expiresAtMs: first!.expiresAtMs }]);
  const accept = { groupId, inviteId: first!.inviteId, clientRequestId: "a1" };
  await group().call(Group.acceptInvite, accept, campuses.ticket(cid));
});

test("groups: who was kicked comes back when an admin invites, a mute stays", async () => {
  const [ann, bob, cid] = newUsers(3) as [string, string, string];
  const groupId = await create(ann, [bob, cid]);
  const asked = () => ({ groupId, clientRequestId: `r${users++}` });
  const join = () => group().call(Group.join, asked(), campuses.ticket(cid));
  const mute = { ...asked(), userId: cid, forMs: 600_000 };
  await group().call(Group.mute, mute, campuses.ticket(ann));
  await group().call(Group.leave, asked(), campuses.ticket(cid));
  await join();
  const say = () => {
    const to = { case: "groupId" as const, value: groupId };
    const request = makeSendRequest({ clientMessageId: `m${users++}`, text: "hello", to });
    return campuses.callee("text", "access").call(Text.send, request, campuses.ticket(cid));
  };
  const denied = { code: "PERMISSION_DENIED" };
  await expect(say()).rejects.toMatchObject({ ...denied, message: expect.stringMatching("muted") });
  await group().call(Group.kick, { ...asked(), userId: cid }, campuses.ticket(ann));
  await expect(join()).rejects.toMatchObject(denied);
  const invite = (by: string) =>
    group().call(Group.invite, { ...asked(), userIds: [cid] }, campuses.ticket(by));
  expect((await invite(bob)).outcomes).toMatchObject([{ kind: InviteOutcomeKind.REFUSED }]);
  await expect(join()).rejects.toMatchObject(denied);
  expect((await invite(ann)).outcomes).toMatchObject([{ kind: InviteOutcomeKind.INVITED }]);
  const [{ inviteId } = { inviteId: "" }] = await invitationsOf(cid);
  const accept = { ...asked(), inviteId };
  await group().call(Group.acceptInvite, accept, campuses.ticket(cid));
  await expect(say()).rejects.toMatchObject({ ...denied, message: expect.stringMatching("muted") });
});
