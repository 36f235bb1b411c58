/** Files, images and moments by the command line, on a platform of real processes. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Platform } from "../services/platform/platform.ts";
import { removePlatform, startPlatform, tricampus } from "./testing/own-platform.ts";

let platform: Platform;
const dir = mkdtempSync(join(tmpdir(), "tricampus-files-"));
const run = async (...words: string[]) => {
  const { stdout, stderr } = await tricampus(platform.config.dataDir, words);
  expect(stderr).toBe("");
  return stdout;
};
const json = async (...words: string[]) => JSON.parse(await run(...words, "--json"));

beforeAll(async () => {
  platform = await startPlatform("compact");
  for (const name of ["ann", "bob"])
    await run("user", "register", name, "--password", "a password");
});
afterAll(async () => {
  await removePlatform(platform);
  rmSync(dir, { recursive: true });
});

test("a file and an image go from one user to another, and only there", async () => {
  const [notes, photo, got] = ["notes.txt", "photo.png", "got"].map((name) => join(dir, name));
  writeFileSync(notes!, "what we said ".repeat(100_000));
  const pixels = { width: 640, height: 480, channels: 3, background: "#123" } as const;
  writeFileSync(photo!, await sharp({ create: pixels }).png().toBuffer());
  expect(await run("send", "ann", "read this", "--to", "bob", "--file", notes!)).toMatch(
    /^Accepted/,
  );
  expect(await run("send", "ann", "--to", "bob", "--image", photo!)).toMatch(/^Accepted/);
  const chat = await run("sync", "bob");
  const [fileId, imageId] = [...chat.matchAll(/media ([0-9a-f]{64})/g)].map(([, id]) => id!);
  await run("media", "get", "bob", fileId!, "--with", "ann", "--out", got!);
  expect(readFileSync(got!).equals(readFileSync(notes!))).toBe(true);
  const shown = await json("media", "show", "bob", imageId!, "--with", "ann");
  expect(shown).toMatchObject({ width: 640, height: 480, mime: "image/png" });
  await run("media", "get", "bob", imageId!, "--with", "ann", "--thumbnail", "--out", got!);
  expect(await sharp(readFileSync(got!)).metadata()).toMatchObject({ width: 320, format: "webp" });
  const denied = await tricampus(platform.config.dataDir, ["media", "get", "bob", fileId!]);
  expect(denied).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/no such medium.*NOT_FOUND/),
  });
  await run("media", "delete", "ann", fileId!);
  const gone = ["media", "show", "bob", fileId!, "--with", "ann"];
  expect((await tricampus(platform.config.dataDir, gone)).code).toBe(1);
  const nothing = await tricampus(platform.config.dataDir, [
    "send",
    "ann",
    "--to",
    "bob",
    "--file",
    "no",
  ]);
  expect(nothing).toMatchObject({ code: 2, stderr: expect.stringMatching(/no cannot be read/) });
});

test("moments: posted, seen by a contact, commented on, deleted", async () => {
  await run("contact", "ask", "ann", "bob");
  await run("contact", "ask", "bob", "ann");
  const { momentId } = await json("moments", "post", "ann", "fair", "winds");
  await expect.poll(() => run("moments", "list", "bob")).toContain("fair winds");
  await run("moments", "like", "bob", momentId);
  await run("moments", "comment", "bob", momentId, "and", "you");
  expect(await run("moments", "list", "ann", "--of", "ann")).toMatch(
    /liked by bob\n {2}1\. <bob> and you/,
  );
  await run("moments", "delete", "ann", momentId);
  expect(await run("moments", "list", "bob")).toContain("Nothing.");
});
