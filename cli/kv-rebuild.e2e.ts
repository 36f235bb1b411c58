/** S3 with real processes: a campus loses its replica's disk while messages go on, and gets it back. */
import { mkdirSync, rmSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serviceDataDir } from "../services/platform/layout.ts";
import type { Platform } from "../services/platform/platform.ts";
import { signal } from "../services/platform/process-facts.ts";
import { readStatus } from "./commands/status.ts";
import { removePlatform, replayDemo, startPlatform, tricampus } from "./testing/own-platform.ts";

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform("compact");
}, 60_000);
afterAll(() => removePlatform(platform), 30_000);

async function replicaOf(campus: string) {
  const { processes } = await readStatus(platform);
  return processes.find(({ process }) => process === `${campus}/kvsvr`)!;
}

async function untilHealth(campus: string, health: string): Promise<void> {
  for (let waited = 0; (await replicaOf(campus)).health !== health; waited += 100) {
    if (waited > 20_000) throw new Error(`${campus}/kvsvr never became ${health}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function loseDisk(campus: string): Promise<void> {
  const dir = serviceDataDir(platform.config.dataDir, campus, "kvsvr");
  signal((await replicaOf(campus)).pid, "SIGKILL");
  rmSync(dir, { recursive: true });
  mkdirSync(dir, { recursive: true });
}

const run = (...args: string[]) => tricampus(platform.config.dataDir, args);

test("kv rebuild: a lost disk, said yes to; then another campus dies, and nothing is missing", async () => {
  const { findings } = await replayDemo(platform, { limit: 40 });
  expect(findings).toEqual([]);
  await loseDisk("b");
  await untilHealth("b", "trouble");
  expect((await replicaOf("b")).trouble).toMatch(/lost its memory/);
  expect(await run("kv", "rebuild", "b")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--yes"),
  });
  expect(await run("kv", "rebuild", "x", "--yes")).toMatchObject({ code: 2 });
  // Each survivor holds a part of what the lost disk voted.
  expect(await run("kv", "rebuild", "c", "--yes")).toMatchObject({ code: 1 });
  expect(await run("kv", "rebuild", "b", "--yes")).toMatchObject({ code: 0 });
  expect(await run("kv", "verify")).toMatchObject({ code: 0, stderr: "" });
  await platform.campus("a")!.kill();
  const after = await replayDemo(platform, { limit: 40 });
  expect(after.findings).toEqual([]);
}, 120_000);
