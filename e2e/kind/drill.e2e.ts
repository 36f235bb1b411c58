/** Drills in the cluster by the command line: one that passes, and one that stops by itself. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { PlatformStatus } from "../../cli/commands/status.ts";
import {
  cluster,
  docker,
  nodeOf,
  tricampus,
  tryTricampus,
  until,
  wholePlatform,
} from "./testing/cluster.ts";
import { duringReplays } from "./testing/replay.ts";

const reports = join(cluster.configHome, "..", "drills");
/** What a busy test machine may use is no finding. */
const WORDS = ["--busy-max", "100", "--json"];

beforeAll(() => wholePlatform());
afterEach(async () => {
  await tryTricampus("campus", "unblock", "b");
});
afterAll(() => rmSync(reports, { recursive: true, force: true }));

const drill = (name: string, ...words: readonly string[]) =>
  tryTricampus("drill", "run", "b", ...words, ...WORDS, "--report", join(reports, name));

const blocks = async () => {
  const { blocks } = JSON.parse(await tricampus("status", "--json")) as PlatformStatus;
  return blocks ?? [];
};

test("Passed: the load moves and comes back, and nobody notices", async () => {
  await duringReplays({ limit: 150, over: 20 }, async () => {
    const times = ["--before", "10s", "--for", "10s", "--after", "10s"];
    const { stdout, stderr } = await drill("passed", ...times);
    expect(JSON.parse(stdout), stderr).toMatchObject({ verdict: "Passed" });
  });
  expect(await blocks()).toEqual([]);
});

test("Failed: it stops by itself when another zone falls silent", async () => {
  const node = await nodeOf("c");
  const drilling = drill("failed", "--before", "4s", "--for", "5m", "--after", "1s");
  await until("campus b is blocked", async () => (await blocks()).length === 1);
  await docker("pause", node);
  try {
    const { stdout, stderr } = await drilling;
    const said = JSON.parse(stdout);
    expect(said, stderr).toMatchObject({ verdict: "Failed" });
    expect(said.why).toMatch(/^the store's replica c\/kvsvr is needed/);
    expect(await blocks()).toEqual([]);
  } finally {
    await docker("unpause", node);
  }
  await wholePlatform();
});
