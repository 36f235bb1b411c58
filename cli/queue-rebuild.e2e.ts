/** With real processes: a campus loses the disks of its queue logs while messages go on, and gets them back. */
import { mkdirSync, rmSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serviceDataDir } from "../services/platform/layout.ts";
import type { Platform } from "../services/platform/platform.ts";
import { signal } from "../services/platform/process-facts.ts";
import { QUEUE_LOGS } from "../services/platform/services.ts";
import { readStatus } from "./commands/status.ts";
import { processRow } from "./rebuilding.ts";
import { removePlatform, replayDemo, startPlatform, tricampus } from "./testing/own-platform.ts";

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform("compact");
}, 60_000);
afterAll(() => removePlatform(platform), 30_000);

const logic = async (campus: string) => processRow(await readStatus(platform), `${campus}/logic`)!;
const run = (...args: string[]) => tricampus(platform.config.dataDir, args);

test("queue rebuild: lost disks, said yes to; then another campus dies, and nothing is missing", async () => {
  const { findings } = await replayDemo(platform, { limit: 40 });
  expect(findings).toEqual([]);
  signal((await logic("b")).pid, "SIGKILL");
  for (const log of QUEUE_LOGS) {
    const dir = serviceDataDir(platform.config.dataDir, "b", log);
    rmSync(dir, { recursive: true });
    mkdirSync(dir, { recursive: true });
  }
  await expect
    .poll(async () => (await logic("b")).trouble, { timeout: 20_000 })
    .toMatch(/lost its memory/);
  expect(await run("queue", "rebuild", "b")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--yes"),
  });
  expect(await run("queue", "rebuild", "x", "--yes")).toMatchObject({ code: 2 });
  // Each of the two others holds a part of what the lost disk granted.
  expect(await run("queue", "rebuild", "c", "--yes")).toMatchObject({ code: 1 });
  expect(await run("queue", "rebuild", "b", "--yes")).toMatchObject({ code: 0 });
  await platform.campus("a")!.kill();
  const after = await replayDemo(platform, { limit: 40 });
  expect(after.findings).toEqual([]);
}, 180_000);
