/** Groups as people use them, through clients at different campuses, some of them offline at first. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { InviteOutcomeKind } from "../protos/gen/tricampus/client/v1/group_codec.ts";
import { NoticeKind } from "../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  startWholePlatform,
  type WholePlatform,
} from "../services/platform/testing/whole-platform.ts";
import { lines, People, type Person } from "./testing/people.ts";

let platform: WholePlatform;
let people: People;

beforeAll(async () => {
  platform = await startWholePlatform({
    fanout: { acceptAboveMembers: 3 },
    group: { inviteExpiresMs: 1_500 },
  });
  people = new People(platform.endpoints);
});
beforeEach(() => people.nextScene());
afterAll(async () => {
  await people.close();
  await platform.stop();
});

const shown = async ({ client }: Person, conversationId: string) =>
  lines(await client.store.messages(conversationId), NoticeKind);

async function expectShown(person: Person, conversationId: string, expected: string[]) {
  await expect.poll(() => shown(person, conversationId)).toEqual(expected);
}

test("a group's life: roles, mutes, nicknames, transfer, kick, dismiss, in one order for all", async () => {
  const [ann, bob, cid] = await Promise.all([
    people.online("ann"),
    people.online("bob", { campus: "b" }),
    people.offline("cid", { campus: "c" }),
  ]);
  const group = await ann.client.groups.create("Harbour", [bob.id, cid.id]);
  const { groups } = ann.client;
  await groups.setAdmin(group, { userId: bob.id, admin: true });
  await bob.client.groups.mute(group, { userId: cid.id, forMs: 60_000 });
  await bob.client.groups.setProfile(group, { announcement: "No fishing" });
  await bob.client.groups.setNickname(group, "Bobby");
  await groups.transfer(group, bob.id);
  await bob.client.send({ groupId: group }, "mine now");
  await bob.client.groups.kick(group, cid.id);
  const upToKick = [
    ...["1 CREATED", "2 ADMIN", "3 MUTED", "4 ANNOUNCEMENT No fishing", "5 NICKNAME Bobby"],
    ...["6 OWNER", "7 mine now", "8 KICKED"],
  ];
  await bob.client.groups.dismiss(group);
  await cid.client.connect();
  await expectShown(cid, group, upToKick);
  for (const one of [ann, bob]) await expectShown(one, group, [...upToKick, "9 DISMISSED"]);
  expect(cid.client.store.book.groups.size).toBe(0);
  await expect.poll(() => ann.client.store.book.groups.size).toBe(0);
  await expect(ann.client.send({ groupId: group }, "hello?")).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
});

test("a muted member, a muted group, and who may speak all the same", async () => {
  const [ann, bob] = await Promise.all([
    people.online("ann"),
    people.online("bob", { campus: "b" }),
  ]);
  const group = await ann.client.groups.create("Quiet", [bob.id]);
  const denied = { code: "PERMISSION_DENIED" };
  await ann.client.groups.mute(group, { userId: bob.id, forMs: 60_000 });
  await expect(bob.client.send({ groupId: group }, "hi")).rejects.toMatchObject(denied);
  await ann.client.groups.mute(group, { userId: bob.id, forMs: 0 });
  await bob.client.send({ groupId: group }, "hi");
  await ann.client.groups.muteAll(group, true);
  await expect(bob.client.send({ groupId: group }, "hi")).rejects.toMatchObject(denied);
  await ann.client.send({ groupId: group }, "only me");
  expect(await ann.client.groups.muteAll(group, true)).toBe(0); // it is so already
  const info = await bob.client.groups.get(group);
  expect(info).toMatchObject({ title: "Quiet", ownerId: ann.id, allMuted: true, members: 2 });
});

test("a small group takes whom a member invites; a large one asks, and an invitation expires", async () => {
  const [ann, bob, cid, dan, eve] = (await Promise.all([
    people.online("ann"),
    people.online("bob", { campus: "b" }),
    ...["cid", "dan", "eve"].map((name) => people.offline(name, { campus: "c" })),
  ] as Promise<Person>[])) as [Person, Person, Person, Person, Person];
  const group = await ann.client.groups.create("Growing", [bob.id]);
  const invite = async (by: Person, ...whom: Person[]) =>
    (
      await by.client.groups.invite(
        group,
        whom.map((one) => one.id),
      )
    ).map((one) => one.kind);
  expect(await invite(bob, cid, ann)).toEqual([
    InviteOutcomeKind.JOINED,
    InviteOutcomeKind.MEMBER_ALREADY,
  ]);
  expect(await invite(bob, dan, eve)).toEqual([
    InviteOutcomeKind.INVITED,
    InviteOutcomeKind.INVITED,
  ]);
  await ann.client.groups.setProfile(group, { joinPolicy: 2 });
  await dan.client.connect();
  const invitation = () => dan.heard.find((m) => m.content?.body?.case === "invite");
  await expect.poll(invitation).toMatchObject({ senderId: bob.id });
  const body = invitation()!.content!.body!;
  if (body.case !== "invite") throw new Error("no invitation");
  expect(body.value).toMatchObject({ groupId: group, title: "Growing" });
  await dan.client.groups.acceptInvite(body.value);
  await expectShown(dan, group, ["4 JOINED"]);
  await eve.client.connect();
  await expect(eve.client.groups.join(group)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  await new Promise((resolve) => setTimeout(resolve, 1_600));
  const late = eve.client.groups.acceptInvite({ groupId: group, inviteId: inviteOf(eve) });
  await expect(late).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
});

function inviteOf(person: Person): string {
  const bodies = person.heard.map((message) => message.content?.body);
  const invite = bodies.find((body) => body?.case === "invite");
  return invite?.case === "invite" ? invite.value.inviteId : "";
}

test("M1: a change asked for twice happens once, also when it ended the membership", async () => {
  const [ann, bob] = await Promise.all([
    people.online("ann"),
    people.online("bob", { campus: "b" }),
  ]);
  const group = await ann.client.groups.create("Twice", [bob.id]);
  const kicked = await ann.client.groups.kick(group, bob.id, "k1");
  expect(await ann.client.groups.kick(group, bob.id, "k1")).toBe(kicked);
  const join = bob.client.groups.join(group, "j1");
  await expect(join).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  await ann.client.groups.invite(group, [bob.id]);
  const left = await bob.client.groups.leave(group, "l1");
  expect(await bob.client.groups.leave(group, "l1")).toBe(left);
  const again = bob.client.groups.leave(group, "l2");
  await expect(again).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  await expectShown(ann, group, ["1 CREATED", "2 KICKED", "3 JOINED", "4 LEFT"]);
});

test("the owner who leaves hands the group on; with the last member it ends", async () => {
  const [ann, bob] = await Promise.all([
    people.online("ann"),
    people.online("bob", { campus: "b" }),
  ]);
  const group = await ann.client.groups.create("Heirs", [bob.id]);
  await ann.client.groups.leave(group);
  await expectShown(bob, group, ["1 CREATED", "2 LEFT", "3 OWNER"]);
  await expectShown(ann, group, ["1 CREATED", "2 LEFT"]);
  expect((await bob.client.groups.get(group)).ownerId).toBe(bob.id);
  await bob.client.groups.leave(group);
  await expect(ann.client.groups.join(group)).rejects.toMatchObject({ code: "NOT_FOUND" });
});
