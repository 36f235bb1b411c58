/** Files, images and videos, between clients on different campuses, one of them offline at first. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import S3rver from "@20minutes/s3rver";
import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Media, MediaKind } from "../protos/gen/tricampus/client/v1/media_codec.ts";
import { MediaData } from "../protos/gen/tricampus/data/v1/media_codec.ts";
import { archive, mp4 } from "../services/logic/media/kinds/testing/containers.ts";
import {
  startWholePlatform,
  type WholePlatform,
} from "../services/platform/testing/whole-platform.ts";
import { People, type Person } from "./testing/people.ts";

let platform: WholePlatform;
let people: People;

beforeAll(async () => {
  platform = await startWholePlatform({
    "media-data": { sweepEveryMs: 500, sweepRestMs: 0, userBytesMax: 30_000_000 },
    media: { imagePixelsMax: 1_000_000, videoMsMax: 60_000 },
  });
  people = new People(platform.endpoints);
});
beforeEach(() => people.nextScene());
afterAll(async () => {
  await people.close();
  await platform.stop();
});

const picture = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: "#084" } });
const noise = (bytes: number, seed = 1) => {
  const data = Buffer.alloc(bytes);
  for (let at = 0, hash = Buffer.from([seed]); at < bytes; at += hash.length) {
    hash = createHash("sha512").update(hash).digest();
    hash.copy(data, at);
  }
  return data;
};
const file = (source: Uint8Array, name = "notes.bin") =>
  ({ kind: "file", mime: "application/pdf", name, source }) as const;
const pair = () =>
  Promise.all([people.online("ann"), people.offline("bob", { campus: "b" })] as const);
const ticketOf = ({ id }: Person, device = "phone") => {
  const issuedAtMs = Date.now();
  return platform.signer.sign({ userId: id, device, issuedAtMs, expiresAtMs: issuedAtMs + 60_000 });
};
const notFound = { code: "NOT_FOUND" };

test("a file of several chunks reaches who was offline, byte by byte", async () => {
  const [ann, bob] = await pair();
  const data = noise(1_300_000);
  const progress: number[] = [];
  const upload = { ...file(data, "Bericht für uns.pdf"), text: "as promised" };
  const onProgress = ({ sent }: { sent: number }) => progress.push(sent);
  await ann.client.media.send({ userName: bob.name }, { ...upload, onProgress });
  expect(progress).toEqual([1, 2, 3]);
  await bob.client.connect();
  await expect.poll(() => bob.heard.length).toBe(1);
  const [{ text, content, conversationId }] = bob.heard as [(typeof bob.heard)[0]];
  expect(text).toBe("as promised");
  const { mediaId, name, bytes } = content!.body!.value as {
    mediaId: string;
    name: string;
    bytes: number;
  };
  expect([name, bytes]).toEqual(["Bericht für uns.pdf", 1_300_000]);
  const shown = { mediaId, conversationId };
  expect(Buffer.from(await bob.client.media.download(shown)).equals(data)).toBe(true);
  const range = { start: 524_280, end: 524_300 };
  const middle = await bob.client.media.download({ ...shown, range });
  expect(Buffer.from(middle).equals(data.subarray(524_280, 524_300))).toBe(true);
});

test("a file that is sent again under its id, by who heard no answer, comes once", async () => {
  const [ann, bob] = await pair();
  const send = () => ann.client.media.send({ userId: bob.id }, file(noise(2_000, 7)), "once");
  const [first, again] = [await send(), await send()];
  expect([again.messageId, again.sequence]).toEqual([first.messageId, first.sequence]);
  await bob.client.connect();
  await bob.client.sync();
  expect(bob.heard.map(({ clientMessageId }) => clientMessageId)).toEqual(["once"]);
});

test("an avatar of a user, and of a group with its description, are seen by who was offline", async () => {
  const [ann, bob] = await pair();
  const upload = async (colour: string) => {
    const create = { width: 64, height: 64, channels: 3, background: colour } as const;
    const source = await sharp({ create }).png().toBuffer();
    const { mediaId } = await ann.client.media.upload({ kind: "image", mime: "image/png", source });
    await ann.client.media.share(mediaId, "everybody");
    return mediaId;
  };
  const [own, ofGroup] = [await upload("#a00"), await upload("#00a")];
  await ann.client.account.setProfile({ displayName: "Ann", avatarId: own, about: "at sea" });
  const group = await ann.client.groups.create("Harbour", [bob.id]);
  await ann.client.groups.setProfile(group, { avatarId: ofGroup, description: "boats, no fish" });

  await bob.client.connect();
  await expect.poll(() => bob.client.store.book.groups.has(group)).toBe(true);
  const [profile] = await bob.client.account.profiles([ann.id]);
  expect(profile).toMatchObject({ displayName: "Ann", avatarId: own, about: "at sea" });
  const shown = await bob.client.groups.get(group);
  expect(shown).toMatchObject({
    title: "Harbour",
    avatarId: ofGroup,
    description: "boats, no fish",
  });
  for (const [mediaId, channel] of [
    [profile!.avatarId, 0],
    [shown.avatarId, 2],
  ] as const) {
    const image = sharp(Buffer.from(await bob.client.media.download({ mediaId })));
    expect(await image.metadata()).toMatchObject({ width: 64, height: 64 });
    const { channels } = await image.stats();
    expect(channels[channel]!.mean).toBeGreaterThan(150);
    expect(channels[2 - channel]!.mean).toBeLessThan(20);
  }
  const nothing = ann.client.groups.setProfile(group, { avatarId: "no medium" });
  await expect(nothing).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("an image is made anew, has a thumbnail, and forgets where it was taken", async () => {
  const [ann, bob] = await pair();
  const photo = await picture(900, 450)
    .withExif({ IFD0: { Artist: "Ann at home" } })
    .jpeg()
    .toBuffer();
  await ann.client.media.send(
    { userId: bob.id },
    { kind: "image", mime: "image/jpeg", source: photo },
  );
  await bob.client.connect();
  await expect.poll(() => bob.heard.length).toBe(1);
  const { content, conversationId } = bob.heard[0]!;
  const { mediaId, width, height } = content!.body!.value as {
    mediaId: string;
    width: number;
    height: number;
  };
  expect([width, height]).toEqual([900, 450]);
  const whole = await bob.client.media.download({ mediaId, conversationId });
  expect(Buffer.from(whole).includes("Ann at home")).toBe(false);
  const small = await bob.client.media.download({ mediaId, conversationId, thumbnail: true });
  const original = createHash("sha256").update(photo).digest();
  for (const index of [0, 1, 2]) {
    const has = async () => {
      const request = { mediaId, hash: original };
      const peers = platform.callee("media-data", "media-data");
      return (await peers.callOne(index, MediaData.loadHere, request)).found;
    };
    await expect.poll(has).toBe(false);
  }
  expect(await sharp(small).metadata()).toMatchObject({ width: 320, height: 160, format: "webp" });
});

test("a video says how long it is, and has the poster that came with it", async () => {
  const [ann, bob] = await pair();
  const video = mp4({ durationMs: 12_000, width: 320, height: 240, front: 700_000 });
  const poster = { mime: "image/png", source: await picture(320, 240).png().toBuffer() };
  const message = { kind: "video", mime: "video/mp4", source: video, poster } as const;
  await ann.client.media.send({ userId: bob.id }, message);
  await bob.client.connect();
  await expect.poll(() => bob.heard.length).toBe(1);
  const { content, conversationId } = bob.heard[0]!;
  const value = content!.body!.value as { mediaId: string; posterId: string };
  expect(value).toMatchObject({ durationMs: 12_000, width: 320, height: 240 });
  const asked = { mediaId: value.posterId, conversationId, thumbnail: true };
  expect((await bob.client.media.download(asked)).length).toBeGreaterThan(0);
});

test("an upload goes on where it was, at another campus, and is the same when it is repeated", async () => {
  const ann = await people.online("ann", { campus: "a" });
  const data = noise(2_000_000, 2);
  const ticket = ticketOf(ann);
  const media = platform.callee("media", "access", "a");
  const chunks = [0, 1, 2, 3].map((i) =>
    createHash("sha256")
      .update(data.subarray(i * 524_288, (i + 1) * 524_288))
      .digest(),
  );
  const request = {
    ...{ kind: MediaKind.FILE, mime: "application/pdf", name: "notes.bin" },
    ...{ bytes: data.length, chunks },
  };
  const { mediaId, missing } = await media.call(Media.begin, request, { ticket });
  expect(missing).toEqual([0, 1, 2, 3]);
  const put = (index: number, part: Buffer) =>
    media.call(Media.put, { mediaId, index, data: part }, { ticket });
  await put(1, data.subarray(524_288, 2 * 524_288));
  await expect(put(0, data.subarray(0, 1_000))).rejects.toThrow(/524288 bytes, and 1000 came/);
  await expect(put(0, noise(524_288, 9))).rejects.toThrow(/not what its hash says/);
  await expect(put(4, data.subarray(0, 10))).rejects.toThrow(/has 4 chunks/);
  const early = media.call(Media.finish, { mediaId, conversationId: "" }, { ticket });
  await expect(early).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  const desk = await people.online("ann", { campus: "c", device: "desk" });
  let sent = 0;
  const onProgress = () => {
    sent += 1;
  };
  const info = await desk.client.media.upload({ ...file(data), onProgress });
  expect([info.mediaId, sent]).toEqual([mediaId, 3]);
  await desk.client.media.upload({ ...file(data), onProgress });
  expect(sent).toBe(3);
});

test("nobody sees what was not shown to it: not by its id, not by uploading the same", async () => {
  const [ann, bob] = await pair();
  const eve = await people.online("eve", { campus: "c" });
  const data = noise(1_000, 3);
  const { mediaId } = await ann.client.media.upload(file(data));
  const conversation = `c:${[ann.id, bob.id].sort().join("|")}`;
  for (const conversationId of ["", conversation]) {
    await expect(eve.client.media.info(mediaId, conversationId)).rejects.toMatchObject(notFound);
    const url = eve.client.media.url({ mediaId, conversationId });
    await expect(url).rejects.toMatchObject(notFound);
  }
  await expect(bob.client.media.info(mediaId, conversation)).rejects.toMatchObject(notFound);
  await ann.client.media.share(mediaId, { userId: bob.id });
  expect((await bob.client.media.info(mediaId, conversation)).bytes).toBe(1_000);
  await expect(eve.client.media.info(mediaId, conversation)).rejects.toMatchObject(notFound);
  await expect(eve.client.media.share(mediaId, { userId: eve.id })).rejects.toMatchObject(notFound);
  const foreign = ann.client.media.share(mediaId, {
    conversationId: `c:${[bob.id, eve.id].sort().join("|")}`,
  });
  await expect(foreign).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  expect((await eve.client.media.upload(file(data))).mediaId).not.toBe(mediaId);
  await expect(eve.client.media.delete(mediaId)).rejects.toMatchObject(notFound);
  // What one was shown can be shown on, and everybody sees what its owner shows to everybody.
  await bob.client.media.share(mediaId, { userId: eve.id }, { from: conversation });
  const theirs = `c:${[bob.id, eve.id].sort().join("|")}`;
  expect((await eve.client.media.info(mediaId, theirs)).mediaId).toBe(mediaId);
  const all = bob.client.media.share(mediaId, "everybody", { from: conversation });
  await expect(all).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  await ann.client.media.share(mediaId, "everybody");
  const cid = await people.online("cid");
  expect((await cid.client.media.download({ mediaId })).length).toBe(1_000);
});

test("members see what is in their group; who left, or was removed, has to ask in vain", async () => {
  const [ann, bob] = await pair();
  const cid = await people.online("cid", { campus: "c" });
  const groupId = await ann.client.groups.create("Crew", [bob.id, cid.id]);
  const { mediaId } = await ann.client.media.upload(file(noise(500, 4)));
  await ann.client.media.share(mediaId, { conversationId: groupId });
  const shown = { mediaId, conversationId: groupId };
  expect((await bob.client.media.download(shown)).length).toBe(500);
  await ann.client.groups.kick(groupId, cid.id);
  await expect(cid.client.media.download(shown)).rejects.toMatchObject(notFound);
});

test.each([
  ["a picture that is none", "image", "image/png", Buffer.from("<svg/>"), "INVALID_ARGUMENT"],
  [
    "a GIF that says PNG",
    "image",
    "image/png",
    Buffer.from("GIF89a..........."),
    "INVALID_ARGUMENT",
  ],
  ["a type that is not taken", "image", "image/svg+xml", Buffer.from("<svg/>"), "INVALID_ARGUMENT"],
  ["half a PNG", "image", "image/png", "half a PNG", "INVALID_ARGUMENT"],
  ["a bomb of pixels", "image", "image/png", "bomb", "INVALID_ARGUMENT"],
  ["a bomb of an archive", "file", "application/zip", "zip bomb", "INVALID_ARGUMENT"],
  [
    "a video that is cut",
    "video",
    "video/mp4",
    mp4({ durationMs: 9 }).subarray(0, 50),
    "INVALID_ARGUMENT",
  ],
  ["too long a video", "video", "video/mp4", mp4({ durationMs: 61_000 }), "TOO_LARGE"],
] as const)("refused, and said why: %s", async (_, kind, mime, given, code) => {
  const ann = await people.online("ann");
  const made: Record<string, () => Promise<Buffer>> = {
    "half a PNG": async () => (await picture(400, 400).png().toBuffer()).subarray(0, 500),
    bomb: () => picture(2_000, 2_000).png().toBuffer(),
    "zip bomb": async () => archive([{ packed: 1_000, unpacked: 2 ** 31 }]),
  };
  const source = typeof given === "string" ? await made[given]!() : given;
  const name = kind === "file" ? { name: "x.zip" } : {};
  const upload = ann.client.media.upload({ kind, mime, source, ...name });
  await expect(upload).rejects.toMatchObject({ code });
});

test("a user has so much and no more, begun uploads counted; what is deleted makes room", async () => {
  const [ann, bob] = await pair();
  const ticket = ticketOf(ann);
  const media = platform.callee("media", "access");
  const chunks = Array.from({ length: 56 }, (_, i) => noise(32, i));
  const about = { kind: MediaKind.FILE, mime: "application/pdf", name: "large.pdf", chunks };
  const request = { ...about, bytes: 56 * 524_288 };
  const { mediaId } = await media.call(Media.begin, request, { ticket });
  await media.call(Media.begin, request, { ticket }); // goes on with it: counted once
  const more = () => ann.client.media.upload(file(noise(900_000, 5)));
  await expect(more()).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
  await bob.client.media.upload(file(noise(900_000, 5)));
  await ann.client.media.delete(mediaId);
  await more();
});

test("a copy that was lost or damaged is read elsewhere, and made again", async () => {
  const ann = await people.online("ann", { campus: "a" });
  const data = noise(800_000, 6);
  const { mediaId } = await ann.client.media.upload(file(data));
  const at = (campus: string) => platform.callee("media-data", "media-data", campus);
  const hash = createHash("sha256").update(data.subarray(0, 524_288)).digest();
  const has = async (campus: string, index: number) =>
    (await at(campus).callOne(index, MediaData.loadHere, { mediaId, hash })).found;
  // Any of the three may come a little later than the answer.
  for (const index of [0, 1, 2]) await expect.poll(() => has("a", index)).toBe(true);
  await at("a").callOne(0, MediaData.dropHere, { mediaId, hashes: [] });
  expect(await has("a", 0)).toBe(false);
  expect((await ann.client.media.download({ mediaId })).length).toBe(800_000);
  await expect.poll(() => has("a", 0)).toBe(true);
  await at("a").callOne(1, MediaData.dropHere, { mediaId, hashes: [] });
  await expect.poll(() => has("a", 1), { timeout: 20_000 }).toBe(true); // by the sweep alone
  await ann.client.media.delete(mediaId);
  for (const index of [0, 1, 2]) await expect.poll(() => has("a", index)).toBe(false);
  await expect(ann.client.media.info(mediaId)).rejects.toMatchObject(notFound);
});

test("downloads over HTTP: ranges, caches, and nothing for who changes an address", async () => {
  const ann = await people.online("ann", { campus: "b" });
  const data = noise(600_000, 7);
  const { mediaId } = await ann.client.media.upload(file(data, 'no"tes.pdf'));
  const url = await ann.client.media.url({ mediaId });
  const ask = (headers: Record<string, string> = {}, method = "GET", at = url) =>
    fetch(at, { headers, method });
  const whole = await ask();
  expect(Object.fromEntries(whole.headers)).toMatchObject({
    "content-length": "600000",
    "accept-ranges": "bytes",
    "content-type": "application/octet-stream",
    "x-content-type-options": "nosniff",
    "content-disposition": `attachment; filename="no_tes.pdf"; filename*=UTF-8''no%22tes.pdf`,
    "cache-control": expect.stringMatching(/^private, max-age=3[56]\d\d, immutable$/),
  });
  expect(Buffer.from(await whole.arrayBuffer()).equals(data)).toBe(true);
  const etag = whole.headers.get("etag")!;
  expect((await ask({ "if-none-match": etag })).status).toBe(304);
  const head = await ask({}, "HEAD");
  expect([head.status, head.headers.get("content-length")]).toEqual([200, "600000"]);
  const part = await ask({ range: "bytes=524000-599999", "if-range": etag });
  expect([part.status, part.headers.get("content-range")]).toEqual([
    206,
    "bytes 524000-599999/600000",
  ]);
  expect(Buffer.from(await part.arrayBuffer()).equals(data.subarray(524_000))).toBe(true);
  expect((await ask({ range: "bytes=0-9", "if-range": '"older"' })).status).toBe(200);
  const beyond = await ask({ range: "bytes=600000-" });
  expect([beyond.status, beyond.headers.get("content-range")]).toEqual([416, "bytes */600000"]);
  expect(await beyond.json()).toMatchObject({ message: expect.stringContaining("600000 bytes") });
  const changed: [string, number][] = [
    [url.replace("/whole", "/thumbnail"), 403],
    [url.replace(/until=\d/, "until=9"), 403],
    [url.replace(mediaId, "0".repeat(64)), 403],
    [url.replace(/seal=.*/, "seal=abc"), 403],
    [url.replace(/\?.*/, ""), 404],
    [url.replace(mediaId, "..%2f..%2fetc%2fpasswd"), 404],
    [url.replace("/whole", "/..%2f..%2fwhole"), 404],
  ];
  for (const [at, status] of changed)
    expect([at, (await ask({}, "GET", at)).status]).toEqual([at, status]);
});

test("an address is good for a while", async () => {
  const brief = await startWholePlatform({ "media-data": { urlMs: 1_000 } });
  const others = new People(brief.endpoints);
  const ann = await others.online("ann");
  const { mediaId } = await ann.client.media.upload(file(noise(100, 8)));
  const url = await ann.client.media.url({ mediaId });
  expect((await fetch(url)).status).toBe(200);
  await expect.poll(async () => (await fetch(url)).status).toBe(403);
  await others.close();
  await brief.stop();
});

test("media survive the loss of a campus, and uploads go on without it", async () => {
  const lost = await startWholePlatform();
  const others = new People(lost.endpoints);
  const ann = await others.online("ann", { campus: "a" });
  const data = noise(1_200_000, 9);
  const { mediaId } = await ann.client.media.upload(file(data));
  await lost.stopCampus("a");
  const after = await ann.client.media.upload(file(noise(1_200_000, 10)));
  for (const id of [mediaId, after.mediaId]) {
    expect((await ann.client.media.download({ mediaId: id })).length).toBe(1_200_000);
  }
  await others.close();
  await lost.stop();
});

test("what is old goes, and what was never finished sooner", async () => {
  const ann = await people.online("ann");
  const { mediaId } = await ann.client.media.upload(file(noise(700, 11)));
  const chunks = [noise(32, 12)];
  const about = { kind: MediaKind.FILE, mime: "application/pdf", name: "half.pdf", bytes: 10 };
  const ticket = ticketOf(ann);
  const media = platform.callee("media", "access");
  const begun = await media.call(Media.begin, { ...about, chunks }, { ticket });
  const retain = (beforeMs: number, unfinishedBeforeMs: number) =>
    platform
      .callee("media-data", "retention")
      .call(MediaData.retain, { userId: ann.id, beforeMs, unfinishedBeforeMs });
  const later = Date.now() + 60_000;
  await retain(0, later);
  expect((await ann.client.media.info(mediaId)).bytes).toBe(700);
  const put = { mediaId: begun.mediaId, index: 0, data: noise(10) };
  await expect(media.call(Media.put, put, { ticket })).rejects.toMatchObject(notFound);
  await retain(later, later);
  await expect(ann.client.media.info(mediaId)).rejects.toMatchObject(notFound);
});

test("what is in use does not go by age: avatars, moments, what comes again", async () => {
  const ann = await people.online("ann");
  const source = await picture(20, 20).png().toBuffer();
  const image = { kind: "image", mime: "image/png", source } as const;
  const shown = await ann.client.media.upload(image);
  const momentId = await ann.client.moments.post({ imageIds: [shown.mediaId] });
  const ids: Record<string, string> = {};
  for (const [i, name] of ["avatar", "again", "old"].entries()) {
    ids[name] = (await ann.client.media.upload(file(noise(500, 20 + i)))).mediaId;
  }
  await ann.client.media.share(ids["avatar"]!, "everybody");
  const media = platform.callee("media-data", "media");
  const options = { ticket: ticketOf(ann) };
  const inDays = (days: number) => Date.now() + days * 24 * 3_600_000;
  const asked = { mediaId: ids["again"]!, conversationId: "" };
  const facts = await media.call(MediaData.facts, asked, options);
  await media.call(MediaData.begin, { facts: { ...facts, createdAtMs: inDays(3) } }, options);
  const retain = () =>
    platform
      .callee("media-data", "retention")
      .call(MediaData.retain, { userId: ann.id, beforeMs: inDays(2), unfinishedBeforeMs: 0 });
  await retain();
  for (const id of [shown.mediaId, ids["avatar"]!, ids["again"]!]) {
    expect((await ann.client.media.info(id)).mediaId).toBe(id);
  }
  await expect(ann.client.media.info(ids["old"]!)).rejects.toMatchObject(notFound);
  await ann.client.moments.delete(momentId);
  await retain();
  await expect(ann.client.media.info(shown.mediaId)).rejects.toMatchObject(notFound);
});

test("an S3-compatible bucket instead of files: the same for users", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-media-s3-"));
  const server = new S3rver({
    ...{ address: "127.0.0.1", port: 0, silent: true, directory: dir, vhostBuckets: false },
    configureBuckets: [{ name: "media", configs: [] }],
  });
  const { port } = await server.run();
  const credentialsFile = join(dir, "credentials.json");
  writeFileSync(credentialsFile, '{"accessKeyId": "S3RVER", "secretAccessKey": "S3RVER"}');
  const engine = {
    kind: "s3",
    endpoint: `http://127.0.0.1:${port}`,
    bucket: "media",
    credentialsFile,
  };
  const other = await startWholePlatform({ "media-data": { engine } });
  const others = new People(other.endpoints);
  const ann = await others.online("ann", { campus: "a" });
  const bob = await others.online("bob", { campus: "c" });
  const source = await picture(400, 400).png().toBuffer();
  await ann.client.media.send({ userId: bob.id }, { kind: "image", mime: "image/png", source });
  await expect.poll(() => bob.heard.length).toBe(1);
  const { content, conversationId } = bob.heard[0]!;
  const { mediaId } = content!.body!.value as { mediaId: string };
  const whole = await bob.client.media.download({ mediaId, conversationId });
  expect(await sharp(whole).metadata()).toMatchObject({ width: 400, height: 400 });
  await ann.client.media.delete(mediaId);
  const gone = bob.client.media.info(mediaId, conversationId);
  await expect(gone).rejects.toMatchObject(notFound);
  await others.close();
  await other.stop();
  await server.close();
  rmSync(dir, { recursive: true });
});
