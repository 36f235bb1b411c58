/** Messages as people use them, through clients at different campuses, some of them offline at first. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import {
  type Content,
  encodeContent,
  makeCard,
  makeContent,
  makeLocation,
  makeVoice,
} from "../protos/gen/tricampus/client/v1/content_codec.ts";
import { NoticeKind } from "../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  startWholePlatform,
  type WholePlatform,
} from "../services/platform/testing/whole-platform.ts";
import { toBytes } from "../services/svrkit/codec.ts";
import { lines, People, type Person } from "./testing/people.ts";

let platform: WholePlatform;
let people: People;

beforeAll(async () => {
  platform = await startWholePlatform({ text: { recallMs: 2_000, recallByAdminMs: 60_000 } });
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

async function pair(): Promise<[Person, Person]> {
  return Promise.all([people.online("ann"), people.offline("bob", { campus: "b" })]);
}

/** Bytes may be a Buffer here and a Uint8Array there. */
const encoded = (body: NonNullable<Content["body"]>) =>
  Buffer.from(toBytes(encodeContent, makeContent({ body }))).toString("hex");

const summary = ({ client }: Person, conversationId: string) =>
  client.conversations.get(conversationId);

test("M2: a recall reaches a device that had the message and one that never saw it", async () => {
  const [ann, bob] = await pair();
  const desk = await people.online("bob", { campus: "c", device: "desk" });
  const first = await ann.client.send({ userId: bob.id }, "see you");
  const second = await ann.client.send({ userId: bob.id }, "oops");
  const { conversationId } = second;
  await expectShown(desk, conversationId, ["1 see you", "2 oops"]);
  expect(summary(desk, conversationId)).toMatchObject({ unread: 2, lastText: "oops" });
  await ann.client.recall(second);
  const after = ["1 see you", "2 (recalled)", "3 recall"];
  await expectShown(desk, conversationId, after);
  expect(desk.updates).toContainEqual({ kind: "recalled", conversationId, sequence: 2 });
  expect(summary(desk, conversationId)!.unread).toBe(1);
  await bob.client.connect();
  await expect.poll(() => shown(bob, conversationId)).toEqual(["1 see you", "3 recall"]);
  expect(bob.heard.map((message) => message.text)).not.toContain("oops");
  await expectShown(ann, conversationId, after);
  const again = ann.client.recall(second, "another try");
  await expect(again).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  const theirs = bob.client.recall(first);
  await expect(theirs).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  const history = await bob.client.conversations.history(conversationId);
  expect(history.messages.map((m) => m.text)).toEqual(["", "", "see you"]);
});

test("a recall asked for twice is one recall; after the time it is refused", async () => {
  const [ann, bob] = await pair();
  const sent = await ann.client.send({ userId: bob.id }, "a");
  await ann.client.recall(sent, "r1");
  await ann.client.recall(sent, "r1");
  await expectShown(ann, sent.conversationId, ["1 (recalled)", "2 recall"]);
  const late = await ann.client.send({ userId: bob.id }, "b");
  await new Promise((resolve) => setTimeout(resolve, 2_100));
  await expect(ann.client.recall(late)).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
});

test("in a group an admin takes back anybody's message, a member only its own", async () => {
  const [ann, bob] = await pair();
  const cid = await people.online("cid", { campus: "c" });
  const group = await ann.client.groups.create("Rules", [bob.id, cid.id]);
  await cid.client.send({ groupId: group }, "rude");
  await bob.client.connect();
  for (const one of [ann, bob, cid]) await expectShown(one, group, ["1 CREATED", "2 rude"]);
  const [, rude] = await ann.client.store.messages(group);
  await expect(bob.client.recall(rude!)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  await ann.client.recall(rude!);
  for (const one of [ann, bob, cid]) {
    await expectShown(one, group, ["1 CREATED", "2 (recalled)", "3 recall"]);
  }
});

test("places, cards and what is the application's own arrive as they were sent, 1:1 and in a group", async () => {
  const [ann, bob] = await pair();
  const group = await ann.client.groups.create("Cards", [bob.id]);
  const place = {
    latitudeE7: -337_000_001,
    longitudeE7: 1_512_000_002,
    title: "Pier",
    address: "1",
  };
  const userCard = makeCard({ of: { case: "userId", value: ann.id }, title: "Ann" });
  const groupCard = makeCard({ of: { case: "groupId", value: group }, title: "Cards" });
  const custom = { type: "poll.v1", data: new Uint8Array([0, 255, 10, 13]) };
  const bodies: NonNullable<Content["body"]>[] = [
    { case: "location", value: makeLocation(place) },
    { case: "card", value: userCard },
    { case: "card", value: groupCard },
    { case: "custom", value: custom },
  ];
  for (const to of [{ userId: bob.id }, { groupId: group }]) {
    for (const body of bodies)
      await ann.client.send(to, { text: `a ${body.case}`, content: makeContent({ body }) });
  }
  await bob.client.connect();
  const direct = `c:${[ann.id, bob.id].toSorted().join("|")}`;
  for (const conversationId of [direct, group]) {
    const said = () => bob.heard.filter((one) => one.conversationId === conversationId && one.text);
    await expect.poll(() => said().length).toBe(bodies.length);
    for (const [i, { text, content }] of said().entries()) {
      expect(text).toBe(`a ${bodies[i]!.case}`);
      expect(encoded(content!.body!)).toEqual(encoded(bodies[i]!));
    }
    expect(summary(bob, conversationId)).toMatchObject({ lastKind: "custom", unread: 4 });
  }
});

test("who speaks to all marks everybody's conversation, until it is read", async () => {
  const [ann, bob] = await pair();
  const group = await ann.client.groups.create("All", [bob.id]);
  await ann.client.send({ groupId: group }, "to nobody in particular");
  const desk = await people.online("bob", { campus: "c", device: "desk" });
  await expect.poll(() => summary(desk, group)).toMatchObject({ unread: 1, mentioned: false });
  await ann.client.send(
    { groupId: group },
    { text: "all hands", content: makeContent({ mentionsAll: true }) },
  );
  await bob.client.connect();
  for (const one of [bob, desk])
    await expect.poll(() => summary(one, group)).toMatchObject({ unread: 2, mentioned: true });
  expect(bob.heard.at(-1)).toMatchObject({ text: "all hands", content: { mentionsAll: true } });
  await expect.poll(() => summary(ann, group)).toMatchObject({ unread: 0, mentioned: false });
  await bob.client.conversations.markRead(group);
  for (const one of [bob, desk])
    await expect.poll(() => summary(one, group)).toMatchObject({ unread: 0, mentioned: false });
});

test("mentions, replies and voices arrive whole; large ones lie in the group alone", async () => {
  const [ann, bob] = await pair();
  const group = await ann.client.groups.create("Talk", [bob.id]);
  const data = Buffer.alloc(100_000, 7);
  const voice = makeVoice({ data, mime: "audio/ogg", durationMs: 9_000 });
  await ann.client.send(
    { groupId: group },
    { content: makeContent({ body: { case: "voice", value: voice } }) },
  );
  const long = "long ".repeat(2_000);
  await ann.client.send(
    { groupId: group },
    { text: long, content: makeContent({ mentions: [bob.id] }) },
  );
  await bob.client.connect();
  await expect.poll(() => bob.heard.length).toBe(3);
  const [, heardVoice, heardLong] = bob.heard;
  const body = heardVoice!.content!.body!;
  if (body.case !== "voice") throw new Error("not a voice");
  expect(Buffer.from(body.value.data).equals(data)).toBe(true);
  expect(heardLong!.text).toBe(long);
  expect(heardLong!.apartBytes).toBe(0);
  expect(summary(bob, group)).toMatchObject({ unread: 2, mentioned: true });
  const { messageId, sequence, senderId } = heardLong!;
  const reply = makeContent({ reply: { messageId, sequence, senderId, quote: "long" } });
  await bob.client.send({ groupId: group }, { text: "short", content: reply });
  await expect.poll(() => ann.heard.at(-1)?.content?.reply?.quote).toBe("long");
  const all = bob.client.send(
    { groupId: group },
    { text: "!", content: makeContent({ mentionsAll: true }) },
  );
  await expect(all).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
});

test("reading on one device is read on the other, and told to the sender", async () => {
  const [ann, bob] = await pair();
  const desk = await people.online("bob", { campus: "c", device: "desk" });
  const { conversationId } = await ann.client.send({ userId: bob.id }, "one");
  await ann.client.send({ userId: bob.id }, "two");
  await expect.poll(() => summary(desk, conversationId)?.unread).toBe(2);
  expect(desk.client.conversations.unread).toBe(2);
  await desk.client.conversations.markRead(conversationId, 1);
  expect(summary(desk, conversationId)).toMatchObject({ unread: 1, readSequence: 1 });
  await bob.client.connect();
  await expect.poll(() => summary(bob, conversationId)?.unread).toBe(1);
  await bob.client.conversations.markRead(conversationId);
  await expect.poll(() => summary(desk, conversationId)?.unread).toBe(0);
  await expect.poll(() => summary(ann, conversationId)?.peerReadSequence).toBe(2);
  await desk.client.conversations.markRead(conversationId, 1); // never falls
  expect(summary(desk, conversationId)?.readSequence).toBe(2);
});

test("who has read a group's message", async () => {
  const [ann, bob] = await pair();
  const cid = await people.online("cid", { campus: "c" });
  const group = await ann.client.groups.create("Read", [bob.id, cid.id]);
  await ann.client.send({ groupId: group }, "hello");
  await expect.poll(() => summary(cid, group)?.unread).toBe(1);
  await cid.client.conversations.markRead(group);
  const readBy = () => ann.client.conversations.readBy(group, 2);
  expect(await readBy()).toEqual({ userIds: [cid.id], members: 2 });
  const stranger = await people.online("sam");
  const asked = stranger.client.conversations.readBy(group, 2);
  await expect(asked).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
});

test("pin, mute, draft and delete are the user's own, on all of its devices", async () => {
  const [ann, bob] = await pair();
  const desk = await people.offline("bob", { campus: "c", device: "desk" });
  await bob.client.connect();
  const cid = await people.online("cid");
  const { conversationId: withAnn } = await ann.client.send({ userId: bob.id }, "from ann");
  const { conversationId: withCid } = await cid.client.send({ userId: bob.id }, "from cid");
  await expect.poll(() => bob.client.conversations.list().length).toBe(2);
  const { conversations } = bob.client;
  await conversations.pin(withAnn, true);
  await conversations.mute(withCid, true);
  await conversations.setDraft(withAnn, "dear ann");
  await conversations.deleteMessage(withAnn, 1);
  await desk.client.connect();
  const order = () => desk.client.conversations.list().map((one) => one.conversationId);
  await expect.poll(order).toEqual([withAnn, withCid]);
  await expect.poll(() => summary(desk, withAnn)?.draft).toBe("dear ann");
  await expect.poll(() => shown(desk, withAnn)).toEqual([]);
  expect(desk.client.conversations.unread).toBe(0); // one deleted, one muted
  const [first] = desk.client.conversations.list({ limit: 1 });
  expect(desk.client.conversations.list({ after: first! }).map((c) => c.conversationId)).toEqual([
    withCid,
  ]);
  await conversations.delete(withCid);
  await expect.poll(order).toEqual([withAnn]);
  await cid.client.send({ userId: bob.id }, "again");
  await expect.poll(order).toEqual([withAnn, withCid]);
  await expectShown(desk, withCid, ["2 again"]);
  await expectShown(ann, withAnn, ["1 from ann"]);
  // Pinned, and with a draft: it goes all the same, though its one message is deleted already.
  await conversations.delete(withAnn);
  await expect.poll(order).toEqual([withCid]);
  expect(summary(desk, withAnn)).toMatchObject({ pinnedAtMs: 0, draft: "" });
});
