/**
 * Media and moments in a crash loop, in every campus at once: messages do not notice. That is why they are
 * services of their own, and in processes of their own.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { TricampusClient } from "../sdk/client.ts";
import { clientEndpoints } from "../services/platform/layout.ts";
import type { Platform } from "../services/platform/platform.ts";
import { crashLoop } from "./testing/crash-loop.ts";
import { removePlatform, replayDemo, startPlatform } from "./testing/own-platform.ts";

const CRASHING = ["media", "moments"];
const CLEAN = { missing: 0, duplicates: 0, outOfOrder: 0, altered: 0, foreign: 0, failedSends: 0 };

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform("modules");
}, 180_000);
afterAll(() => removePlatform(platform), 30_000);

test("the ledger of messages is clean while media and moments crash, and both come back", async () => {
  const ended = new AbortController();
  const crashing = crashLoop(platform, CRASHING, ended.signal);
  const { findings, result } = await replayDemo(platform, { limit: 60, overSeconds: 10 });
  ended.abort();
  expect(await crashing).toBeGreaterThan(CRASHING.length * 3);
  expect(findings).toEqual([]);
  expect(result).toMatchObject(CLEAN);
  await platform.waitReady(60_000);
  const client = new TricampusClient({
    device: "phone",
    endpoints: clientEndpoints(platform.config).map(({ campus, host, port }) => ({
      campus,
      url: `ws://${host}:${port}`,
    })),
  });
  await client.register("ann", "a password");
  await client.connect();
  const source = Buffer.from("still here");
  const upload = { kind: "file", mime: "text/plain", name: "note.txt", source } as const;
  await expect.poll(() => client.media.upload(upload).then((info) => info.bytes)).toBe(10);
  await expect.poll(() => client.moments.post({ text: "still here" }, "m1")).toContain(".");
  await client.close();
}, 300_000);
