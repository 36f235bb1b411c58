/** Two campuses and their data are gone for good; the store goes on from the third. */
import { rmSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serviceDataDir } from "../services/platform/layout.ts";
import type { Platform } from "../services/platform/platform.ts";
import { removePlatform, startPlatform, tricampus } from "./testing/own-platform.ts";

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform("compact");
}, 60_000);
afterAll(() => removePlatform(platform), 30_000);

const run = (...args: string[]) => tricampus(platform.config.dataDir, args);

test("kv force: said yes to, the last campus goes on; the others come back as new members", async () => {
  expect(await run("kv", "put", "control", "motto", "two of three")).toMatchObject({ code: 0 });
  const whileOthersLive = await run("kv", "force", "b", "--yes", "--why", "a test");
  expect(whileOthersLive).toMatchObject({ code: 1, stderr: expect.stringMatching(/a is running/) });
  for (const campus of ["a", "c"]) {
    await platform.campus(campus)!.kill();
    rmSync(serviceDataDir(platform.config.dataDir, campus, "kvsvr"), { recursive: true });
  }
  const asked = await run("kv", "force", "b");
  expect(asked).toMatchObject({ code: 2, stderr: expect.stringMatching(/--yes/) });
  expect(asked.stdout).toMatch(/last heard from the others at 20\d\d-.*\n.*acknowledged/);
  const why = "two campuses burnt down";
  const forced = await run("kv", "force", "b", "--yes", "--why", why, "--as", "ann");
  expect(forced).toMatchObject({ code: 0, stderr: "" });
  for (const campus of ["a", "c"]) {
    await platform.campus(campus)!.start();
    const rebuilt = await run("kv", "rebuild", campus, "--yes");
    expect(rebuilt).toMatchObject({ code: 0, stderr: "" });
  }
  const { changes } = JSON.parse((await run("campus", "audit", "--json")).stdout);
  expect(changes).toMatchObject([{ did: "force", what: "b/kvsvr", who: "ann", why }]);
  await platform.campus("b")!.kill();
  expect((await run("kv", "get", "control", "motto")).stdout).toContain("two of three");
}, 120_000);
