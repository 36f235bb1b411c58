/** `tricampus drill` on a whole platform: one that passes, and ones that must not. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Platform } from "../services/platform/platform.ts";
import {
  type CommandResult,
  removePlatform,
  replayDemo,
  startPlatform,
  tricampus,
} from "./testing/own-platform.ts";

/** What a busy test machine may use is no finding. */
const BUSY = ["--busy-max", "1000"];
/** A process that does not answer for two seconds ends a drill, and on a busy machine one may be late. */
const ATTEMPTS = 4;

let platform: Platform;
const dir = mkdtempSync(join(tmpdir(), "tricampus-drill-"));
beforeAll(async () => {
  platform = await startPlatform("compact");
}, 60_000);
afterAll(async () => {
  await removePlatform(platform);
  rmSync(dir, { recursive: true });
}, 30_000);
afterEach(async () => {
  await tricampus(platform.config.dataDir, ["campus", "unblock", "b"]);
});

function drill(...words: readonly string[]): Promise<CommandResult> {
  return tricampus(platform.config.dataDir, ["drill", "run", "b", ...words, "--json"]);
}

const blocks = async () => {
  const { stdout } = await tricampus(platform.config.dataDir, ["status", "--json"]);
  return (JSON.parse(stdout) as { blocks: object[] }).blocks;
};

/** People talk from before the drill's look until after it. */
async function whileTalking<T>(seconds: number, work: () => Promise<T>): Promise<T> {
  const talking = replayDemo(platform, { limit: 400, overSeconds: seconds });
  const [done, { findings }] = await Promise.all([work(), talking]);
  expect(findings).toEqual([]);
  return done;
}

test("drill: Passed when the load moves and comes back; the verdict can be made again", async () => {
  const report = join(dir, "passed");
  let last: CommandResult | undefined;
  const all: string[] = [];
  while (all.length < ATTEMPTS && last?.code !== 0) {
    const times = ["--for", "10s", "--before", "8s", "--after", "10s"];
    last = await whileTalking(40, () => drill(...times, ...BUSY, "--report", report));
    all.push(last.stdout);
  }
  const said = JSON.parse(last!.stdout);
  expect(said, all.join("\n")).toMatchObject({ verdict: "Passed" });
  expect(said.figures.during).toMatchObject({ failures: 0, sharePercent: 0 });
  expect(await blocks()).toEqual([]);
  expect(readFileSync(join(report, "report.md"), "utf8")).toContain("# Drill of campus b: Passed");
  const evidence = join(report, "evidence.json");
  const again = await tricampus(platform.config.dataDir, ["drill", "verdict", evidence, "--json"]);
  expect(JSON.parse(again.stdout)).toMatchObject({ verdict: "Passed", figures: said.figures });
});

test("drill: stops by itself when a replica that is needed falls silent, and Failed", async () => {
  const drilling = drill("--for", "5m", "--before", "4s", "--after", "1s", ...BUSY);
  await expect.poll(blocks, { timeout: 60_000 }).toHaveLength(1);
  const { processes } = await platform.campus("c")!.report();
  const { pid } = processes.find(({ name }) => name === "c/kvsvr")!;
  process.kill(pid, "SIGSTOP");
  try {
    const { code, stdout, stderr } = await drilling;
    expect(JSON.parse(stdout), stderr).toMatchObject({ verdict: "Failed" });
    expect(JSON.parse(stdout).why).toMatch(/^the store's replica \w\/kvsvr is needed/);
    expect(code).toBe(1);
    expect(await blocks()).toEqual([]);
  } finally {
    process.kill(pid, "SIGCONT");
  }
});

test("drill: of one that is killed nothing is blocked half a minute later", async () => {
  const main = join(import.meta.dirname, "main.ts");
  const words = ["drill", "run", "b", "--for", "10m", "--before", "2s", ...BUSY];
  const env = { ...process.env, TRICAMPUS_DATA: platform.config.dataDir };
  const child = spawn(process.execPath, [main, ...words], { env, stdio: "ignore" });
  try {
    await expect.poll(blocks, { timeout: 60_000 }).toHaveLength(1);
  } finally {
    child.kill("SIGKILL");
  }
  await expect.poll(blocks, { timeout: 30_000 }).toEqual([]);
});

test("drill: Refused while something is blocked, Inconclusive when nobody talks", async () => {
  const words = ["--for", "2s", "--before", "2s", "--after", "1s", ...BUSY];
  const block = ["campus", "block", "b/text", "--for", "1m", "--why", "a canary"];
  await tricampus(platform.config.dataDir, block);
  expect(JSON.parse((await drill(...words)).stdout)).toMatchObject({
    verdict: "Refused",
    why: "not so: nothing is blocked (b/text)",
  });
  await tricampus(platform.config.dataDir, ["campus", "unblock", "b/text"]);
  expect(JSON.parse((await drill(...words)).stdout)).toMatchObject({ verdict: "Inconclusive" });
});
