/** Drills in the cluster by the command line: one that passes, and one that stops by itself. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { PlatformStatus } from "../../cli/commands/status.ts";
import {
  cluster,
  kubectl,
  tricampus,
  tryTricampus,
  until,
  wholePlatform,
} from "./testing/cluster.ts";
import { duringReplays } from "./testing/replay.ts";

const reports = join(cluster.configHome, "..", "drills");
/** What a busy test machine may use is no finding. */
const WORDS = ["--busy-max", "1000", "--json"];
/** A process that does not answer for two seconds ends a drill, and on a busy machine one may be late. */
const ATTEMPTS = 4;

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
    const said: string[] = [];
    while (said.length < ATTEMPTS && !said.at(-1)?.includes('"Passed"'))
      said.push((await drill("passed", ...times)).stdout);
    expect(JSON.parse(said.at(-1)!), said.join("\n")).toMatchObject({ verdict: "Passed" });
  });
  expect(await blocks()).toEqual([]);
});

test("Failed: it stops by itself when a replica that is needed is lost", async () => {
  const drilling = drill("failed", "--before", "4s", "--for", "5m", "--after", "1s");
  // One that ends by itself is told from one that never begins: its block may be over before anybody looks.
  const endedBefore = drilling.then(({ stdout, stderr }) => {
    throw new Error(`the drill ended before a replica was lost: ${stdout}${stderr}`);
  });
  const isBlocked = async () => (await blocks()).length === 1;
  await Promise.race([until("campus b is blocked", isBlocked), endedBefore]);
  await kubectl("delete", "pod", "main-kvsvr-1-c-0", "--grace-period=1", "--wait=false");
  const { stdout, stderr } = await drilling;
  const said = JSON.parse(stdout);
  expect(said, stderr).toMatchObject({ verdict: "Failed" });
  expect(said.why).toMatch(/^the store's replica \w\/kvsvr is needed/);
  expect(await blocks()).toEqual([]);
  await wholePlatform();
});
