/** What uploads are found to be, on containers made here byte by byte. */
import { expect, test } from "vitest";
import { UploadReader } from "../reader.ts";
import { SNIFF_BYTES, sniff } from "./sniff.ts";
import { archive, ebml, mp4, webm } from "./testing/containers.ts";
import { readMp4, readWebm } from "./video.ts";
import { refuseZipBomb } from "./zip.ts";

const readerOf = (data: Buffer) =>
  new UploadReader(data.length, async (index) =>
    data.subarray(index * 512 * 1024, (index + 1) * 512 * 1024),
  );
const sniffed = (data: Buffer) => sniff(data.subarray(0, SNIFF_BYTES));

test.each([
  ["image/jpeg", Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 0])],
  ["image/png", Buffer.from("89504e470d0a1a0a0000", "hex")],
  ["image/gif", Buffer.from("GIF89a...")],
  ["image/webp", Buffer.from("RIFF....WEBPVP8 ....")],
  ["video/mp4", mp4({ durationMs: 1_000 })],
  ["video/webm", webm({ durationMs: 1_000 })],
  ["application/zip", archive([{ packed: 1, unpacked: 1 }])],
  [undefined, Buffer.from("<svg xmlns=...>")],
  [undefined, Buffer.from("....ftypavif....")],
  [undefined, Buffer.from("RIFF....WAVEfmt ")],
  [undefined, Buffer.alloc(0)],
])("sniff: %s", (mime, data) => {
  expect(sniffed(data)).toBe(mime);
});

test.each([
  ["at the front", { durationMs: 12_345, width: 640, height: 360 }],
  [
    "behind the pictures, over a part's end",
    { durationMs: 500, width: 64, height: 48, front: 600_000 },
  ],
  ["with 64-bit times", { durationMs: 90_000_000, width: 320, height: 200, isLong: true }],
  ["sound alone has no size", { durationMs: 4_000, width: 0, height: 0 }],
])("MP4: duration and size: %s", async (_, facts) => {
  const { durationMs, width, height } = facts;
  expect(await readMp4(readerOf(mp4(facts)))).toEqual({ durationMs, width, height });
});

test.each([
  ["cut in the middle", mp4({ durationMs: 1_000 }).subarray(0, 60), /middle of a box/],
  ["a box of no end", Buffer.from("0000000166747970ffffffffffffffff", "hex"), /middle of a box/],
  [
    "empty boxes without end",
    Buffer.from("00000008".concat("66726565").repeat(5_000), "hex"),
    /too many/,
  ],
  ["no header", mp4({ durationMs: 0 }), /does not say how long/],
])("MP4: refused: %s", async (_, data, message) => {
  await expect(readMp4(readerOf(data))).rejects.toThrow(message);
});

test("WebM: duration and size, of a file of unknown length too", async () => {
  const facts = { durationMs: 2_500, width: 1_280, height: 720 };
  expect(await readWebm(readerOf(webm(facts)))).toEqual(facts);
  expect(await readWebm(readerOf(webm({ ...facts, isLive: true })))).toEqual(facts);
});

test.each([
  ["cut", webm({ durationMs: 1_000 }).subarray(0, 20), /middle of an element/],
  ["no duration", webm({ durationMs: 0 }), /does not say how long/],
  ["a size of nonsense", Buffer.from("1a45dfa300", "hex"), /middle of an element/],
  [
    "elements without end",
    Buffer.concat(Array(5_000).fill(ebml(0xec, Buffer.alloc(1)))),
    /too many/,
  ],
])("WebM: refused: %s", async (_, data, message) => {
  await expect(readWebm(readerOf(data))).rejects.toThrow(message);
});

const GIB = 1024 ** 3;

test.each([
  ["an honest archive", [{ packed: 1_000, unpacked: 4_000 }]],
  ["one that is well packed and not large", [{ packed: 1_000, unpacked: 100_000_000 }]],
  ["nothing in it", []],
])("zip: taken: %s", async (_, entries) => {
  await expect(refuseZipBomb(readerOf(archive(entries)))).resolves.toBeUndefined();
});

test.each([
  ["one huge file", [{ packed: 1_000, unpacked: 2 * GIB }]],
  ["many that are huge together", Array(20).fill({ packed: 50, unpacked: 100_000_000 })],
  ["one beyond 4 GiB", [{ packed: 1_000, unpacked: 5 * GIB }]],
])("zip: a bomb is refused: %s", async (_, entries) => {
  await expect(refuseZipBomb(readerOf(archive(entries)))).rejects.toThrow(/would unpack to/);
});

test("zip: what is no archive after all is let be", async () => {
  await expect(refuseZipBomb(readerOf(Buffer.from("PK\x03\x04nothing")))).resolves.toBeUndefined();
});
