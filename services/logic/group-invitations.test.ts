import { afterAll, beforeAll, expect, test } from "vitest";
import {
  Group,
  InviteOutcomeKind,
  makeSetGroupProfileRequest,
} from "../../protos/gen/tricampus/client/v1/group_codec.ts";
import { Sync } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
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
