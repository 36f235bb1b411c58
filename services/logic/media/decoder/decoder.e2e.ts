/** The decoder's process, before pictures that are well and pictures that are not. */
import sharp from "sharp";
import { afterAll, expect, test } from "vitest";
import { Decoder } from "./decoder.ts";

const decoder = new Decoder({ waitingMax: 4, decodeMsMax: 20_000 });
afterAll(() => decoder.stop());

const limits = { pixelsMax: 1_000_000, sideMax: 256, thumbnailSideMax: 32 };
const decode = (data: Buffer, changes: object = {}) =>
  decoder.decode({ data, ...limits, ...changes });

const picture = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: "#c40" } });

test("decoder: a photo is made anew, smaller, turned, and without what it knew", async () => {
  const photo = await picture(600, 300)
    .withExif({ IFD0: { Copyright: "somewhere at home" } })
    .withMetadata({ orientation: 6 })
    .jpeg()
    .toBuffer();
  expect(photo.includes("somewhere at home") || photo.includes("Exif")).toBe(true);
  const { body, thumbnail } = await decode(photo);
  expect(body).toMatchObject({ mime: "image/jpeg", width: 128, height: 256 });
  expect(thumbnail).toMatchObject({ mime: "image/webp", width: 16, height: 32 });
  for (const made of [body, thumbnail]) expect(Buffer.from(made.data).includes("Exif")).toBe(false);
  const read = await sharp(body.data).metadata();
  expect(read).toMatchObject({ width: 128, height: 256, format: "jpeg" });
});

test("decoder: what hides behind a picture's end is gone", async () => {
  const png = await picture(20, 20).png().toBuffer();
  const { body } = await decode(Buffer.concat([png, Buffer.from("<script>alert(1)</script>")]));
  expect(body).toMatchObject({ mime: "image/png", width: 20, height: 20 });
  expect(Buffer.from(body.data).includes("script")).toBe(false);
});

test("decoder: bombs, cut pictures and other formats are refused, and the next one is served", async () => {
  const bomb = await picture(5_000, 5_000).png().toBuffer();
  await expect(decode(bomb)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  const jpeg = await picture(300, 300).jpeg().toBuffer();
  const cut = jpeg.subarray(0, jpeg.length / 2);
  await expect(decode(cut)).rejects.toThrow(/cannot be read/);
  const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
  await expect(decode(svg)).rejects.toThrow(/cannot be read/);
  const tiff = await picture(9, 9).tiff().toBuffer();
  await expect(decode(tiff)).rejects.toThrow(/cannot be read/);
  expect((await decode(jpeg)).body.width).toBe(256);
});

test("decoder: one that takes too long is ended; those that wait have a new process", async () => {
  const hasty = new Decoder({ waitingMax: 2, decodeMsMax: 1 });
  const large = await picture(900, 900).png().toBuffer();
  const job = { data: large, ...limits };
  const both = await Promise.allSettled([hasty.decode(job), hasty.decode(job)]);
  for (const { status } of both) expect(status).toBe("rejected");
  hasty.stop();
});

test("decoder: more than may wait are refused at once", async () => {
  const small = new Decoder({ waitingMax: 1, decodeMsMax: 20_000 });
  const job = { data: await picture(9, 9).png().toBuffer(), ...limits };
  const running = small.decode(job);
  const waiting = small.decode(job);
  await expect(small.decode(job)).rejects.toMatchObject({ code: "OVERLOADED" });
  await Promise.all([running, waiting]);
  small.stop();
});
