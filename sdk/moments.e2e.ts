/** Moments, between clients on different campuses, some of them offline at first. */
import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { MomentsPage } from "../protos/gen/tricampus/client/v1/moments_codec.ts";
import { MomentsData } from "../protos/gen/tricampus/data/v1/moments_codec.ts";
import { timelineTable } from "../services/data/moments/client.ts";
import {
  startWholePlatform,
  type WholePlatform,
} from "../services/platform/testing/whole-platform.ts";
import { People, type Person } from "./testing/people.ts";

let platform: WholePlatform;
let people: People;

beforeAll(async () => {
  // Two are delivered to; the others pull.
  const moments = { fanoutMax: 2, sweepEveryMs: 200, stoppedAfterMs: 200 };
  platform = await startWholePlatform({ moments });
  people = new People(platform.endpoints);
});
beforeEach(() => people.nextScene());
afterAll(async () => {
  await people.close();
  await platform.stop();
});

const CAMPUSES = ["b", "c", "a", "b", "c"];
const notFound = { code: "NOT_FOUND" };

async function befriend(one: Person, other: Person): Promise<void> {
  await one.client.contacts.ask(other.id);
  await other.client.contacts.ask(one.id);
}

/** Ann, and others who are her contacts, and not each other's. */
async function circle(...names: string[]): Promise<[Person, ...Person[]]> {
  const ann = await people.online("ann");
  const others = await Promise.all(
    names.map((name, i) => people.online(name, { campus: CAMPUSES[i]! })),
  );
  for (const other of others) await befriend(ann, other);
  return [ann, ...others];
}

const seen = async ({ client }: Person) =>
  (await client.moments.timeline()).moments.map(({ text }) => text);
const ticketOf = ({ id }: Person) => {
  const issuedAtMs = Date.now();
  const who = { userId: id, device: "phone", issuedAtMs, expiresAtMs: issuedAtMs + 60_000 };
  return platform.signer.sign(who);
};

test("contacts see it, delivered to or pulling, and nobody else does", async () => {
  const [ann, bob, cid, dan, eve] = await circle("bob", "cid", "dan", "eve");
  const zoe = await people.online("zoe");
  const momentId = await ann.client.moments.post({ text: "First snow" }, "m1");
  expect(await ann.client.moments.post({ text: "First snow" }, "m1")).toBe(momentId);
  for (const one of [ann, bob, cid, dan, eve]) {
    await expect.poll(() => seen(one!)).toEqual(["First snow"]);
  }
  expect(await seen(zoe)).toEqual([]);
  await expect(zoe.client.moments.get(momentId)).rejects.toMatchObject(notFound);
  expect((await zoe.client.moments.of(ann.id)).moments).toEqual([]);
  // A later contact sees what was shown to all contacts, on the author's own page.
  await befriend(ann, zoe);
  expect((await zoe.client.moments.of(ann.id)).moments).toHaveLength(1);
});

test("who was offline finds it; pages are in order and hold everything once", async () => {
  const ann = await people.online("ann");
  const bob = await people.offline("bob", { campus: "b" });
  const cid = await people.online("cid", { campus: "c" });
  const dan = await people.online("dan");
  await bob.client.connect();
  for (const one of [bob, cid, dan]) await befriend(ann, one);
  await befriend(bob, cid);
  await bob.client.close();
  for (let i = 1; i <= 5; i++) {
    await ann.client.moments.post({ text: `ann ${i}` });
    await cid.client.moments.post({ text: `cid ${i}` });
  }
  const again = await people.online("bob", { campus: "c", device: "desk" });
  await expect.poll(() => seen(again).then((texts) => texts.length)).toBe(10);
  const inPages = async ({ client }: Person, limit: number) => {
    const texts: string[] = [];
    let cursor = "";
    do {
      const page: MomentsPage = await client.moments.timeline({ cursor, limit });
      texts.push(...page.moments.map(({ text }) => text));
      cursor = page.cursor;
    } while (cursor !== "");
    return texts;
  };
  const expected = [5, 4, 3, 2, 1].flatMap((i) => [`cid ${i}`, `ann ${i}`]);
  expect(await inPages(again, 3)).toEqual(expected);
  // Dan pulls, for two others were delivered to.
  const ofAnn = [5, 4, 3, 2, 1].map((i) => `ann ${i}`);
  await expect.poll(() => seen(dan)).toEqual(ofAnn);
  expect(await inPages(dan, 2)).toEqual(ofAnn);
});

test("tags, all but tags, and nobody", async () => {
  const [ann, bob, cid] = await circle("bob", "cid");
  await ann.client.contacts.setTag({ tagId: "t1", name: "crew" });
  await ann.client.contacts.setTags(bob!.id, ["t1"]);
  const only = await ann.client.moments.post({ text: "crew only", to: { tags: ["t1"] } });
  await ann.client.moments.post({ text: "not the crew", to: { butTags: ["t1"] } });
  const own = await ann.client.moments.post({ text: "mine", to: "nobody" });
  await expect.poll(() => seen(bob!)).toEqual(["crew only"]);
  await expect.poll(() => seen(cid!)).toEqual(["not the crew"]);
  await expect.poll(() => seen(ann)).toEqual(["mine", "not the crew", "crew only"]);
  for (const momentId of [only, own]) {
    await expect(cid!.client.moments.get(momentId)).rejects.toMatchObject(notFound);
    await expect(cid!.client.moments.like(momentId)).rejects.toMatchObject(notFound);
  }
  expect((await bob!.client.moments.of(ann.id)).moments.map(({ text }) => text)).toEqual([
    "crew only",
  ]);
  expect((await bob!.client.moments.get(only)).visibility).toBeUndefined();
  expect((await ann.client.moments.get(only)).visibility?.tagIds).toEqual(["t1"]);
});

test("likes and comments are seen by mutual contacts of author and commenter", async () => {
  const [ann, bob, cid, dan] = await circle("bob", "cid", "dan");
  await befriend(bob!, cid!);
  const momentId = await ann.client.moments.post({ text: "New boat" });
  await bob!.client.moments.like(momentId);
  const first = await bob!.client.moments.comment(momentId, "Fine boat!", {
    clientCommentId: "c1",
  });
  const twice = await bob!.client.moments.comment(momentId, "Fine boat!", {
    clientCommentId: "c1",
  });
  expect(twice).toBe(first);
  const reply = { replyToUserId: bob!.id };
  await ann.client.moments.comment(momentId, "Thank you", reply);
  const shown = async (one: Person) => {
    const { likedBy, comments } = await one.client.moments.get(momentId);
    return [likedBy, comments.map(({ text }) => text)];
  };
  for (const one of [ann, bob!, cid!]) {
    expect(await shown(one)).toEqual([[bob!.id], ["Fine boat!", "Thank you"]]);
  }
  expect(await shown(dan!)).toEqual([[], ["Thank you"]]);
  await bob!.client.moments.like(momentId, false);
  const foreign = cid!.client.moments.deleteComment(momentId, first);
  await expect(foreign).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  await ann.client.moments.deleteComment(momentId, first); // on one's own moment one may
  expect(await shown(cid!)).toEqual([[], ["Thank you"]]);
});

test("a moment that was deleted is gone for all; only its author deletes it", async () => {
  const [ann, bob] = await circle("bob");
  const momentId = await ann.client.moments.post({ text: "never mind" }, "m1");
  await expect.poll(() => seen(bob!)).toEqual(["never mind"]);
  await bob!.client.moments.comment(momentId, "what?");
  const denied = bob!.client.moments.delete(momentId);
  await expect(denied).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  await ann.client.moments.delete(momentId);
  for (const one of [ann, bob!]) expect(await seen(one)).toEqual([]);
  await expect(bob!.client.moments.get(momentId)).rejects.toMatchObject(notFound);
  expect(await ann.client.moments.post({ text: "never mind" }, "m1")).toBe(momentId);
  expect(await seen(ann)).toEqual([]);
});

test("who is blocked, or no contact any more, sees nothing, and shows nothing", async () => {
  const [ann, bob] = await circle("bob");
  const momentId = await ann.client.moments.post({ text: "still here" });
  await expect.poll(() => seen(bob!)).toEqual(["still here"]);
  await ann.client.contacts.block(bob!.id);
  expect(await seen(bob!)).toEqual([]);
  await expect(bob!.client.moments.get(momentId)).rejects.toMatchObject(notFound);
  await bob!.client.moments.post({ text: "hello?" });
  await expect.poll(() => seen(bob!)).toEqual(["hello?"]);
  expect(await seen(ann)).toEqual(["still here"]);
  await ann.client.contacts.block(bob!.id, false);
  await ann.client.contacts.remove(bob!.id);
  await expect(bob!.client.moments.get(momentId)).rejects.toMatchObject(notFound);
});

test("images of a moment are seen by who sees it", async () => {
  const [ann, bob] = await circle("bob");
  const zoe = await people.online("zoe");
  const create = { width: 50, height: 40, channels: 3, background: "#abc" } as const;
  const source = await sharp({ create }).png().toBuffer();
  const upload = { kind: "image", mime: "image/png", source } as const;
  const { mediaId } = await ann.client.media.upload(upload);
  const momentId = await ann.client.moments.post({ imageIds: [mediaId] });
  const url = await bob!.client.moments.imageUrl(momentId, mediaId, { thumbnail: true });
  const answer = await fetch(url);
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "image/webp"]);
  await expect(zoe.client.moments.imageUrl(momentId, mediaId)).rejects.toMatchObject(notFound);
  await expect(bob!.client.media.url({ mediaId })).rejects.toMatchObject(notFound);
  const { mediaId: other } = await ann.client.media.upload({
    ...{ kind: "file", mime: "text/plain", name: "x.txt", source: Buffer.from("no image") },
  });
  const noImage = ann.client.moments.post({ imageIds: [other] });
  await expect(noImage).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  const foreign = bob!.client.moments.post({ imageIds: [mediaId] });
  await expect(foreign).rejects.toMatchObject(notFound);
});

test.each([
  ["nothing", {}, "INVALID_ARGUMENT"],
  ["too long", { text: "x".repeat(2_001) }, "INVALID_ARGUMENT"],
  ["no tag", { text: "x", to: { tags: [] } }, "INVALID_ARGUMENT"],
  ["ten images", { imageIds: "0123456789".split("").map((d) => d.repeat(64)) }, "INVALID_ARGUMENT"],
])("a post that is refused: %s", async (_, moment, code) => {
  const ann = await people.online("ann");
  await expect(ann.client.moments.post(moment)).rejects.toMatchObject({ code });
});

test("what stopped between its commit and the timelines is brought there by the sweep", async () => {
  const [ann, bob] = await circle("bob");
  const data = platform.callee("moments-data", "moments");
  const postedAtMs = Date.now();
  const moment = {
    ...{ clientMomentId: "m9", text: "late", imageIds: [], postedAtMs },
    ...{ visibility: undefined, audience: [] },
  };
  // What a process leaves that dies after the commit.
  const request = { moment, to: [ann.id, bob!.id], pulling: [] };
  await data.call(MomentsData.post, request, { ticket: ticketOf(ann) });
  await expect.poll(() => seen(bob!)).toEqual(["late"]);
});

test("timelines forget by age; what authors have stays", async () => {
  const [ann, bob] = await circle("bob");
  await ann.client.moments.post({ text: "old" });
  await expect.poll(() => seen(bob!)).toEqual(["old"]);
  const data = platform.callee("moments-data", "retention");
  const request = { table: timelineTable(bob!.id), beforeMs: Date.now() + 1 };
  await data.call(MomentsData.retain, request);
  expect(await seen(bob!)).toEqual([]);
  expect((await bob!.client.moments.of(ann.id)).moments).toHaveLength(1);
});
