/** Loads on a platform of their own, one of them while a campus is killed. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Platform } from "../services/platform/platform.ts";
import type { LoadResult } from "./load/result.ts";
import { removePlatform, startPlatform, tricampus } from "./testing/own-platform.ts";

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform("compact");
}, 120_000);
afterAll(() => removePlatform(platform), 60_000);

async function load(...args: string[]): Promise<LoadResult> {
  const { code, stdout, stderr } = await tricampus(platform.config.dataDir, [
    ...["load", ...args, "--json"],
  ]);
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as LoadResult;
}

test("load: W8 with campus b killed is clean, and says what it cost", async () => {
  const result = await load("W8", "--factor", "0.005", "--seconds", "10", "--kill-campus", "b");
  expect(result).toMatchObject({ profile: "W8", failed: 0, online: 50 });
  expect(result.acknowledged).toBeGreaterThan(50);
  expect(result.ledger).toMatchObject({
    messages: result.acknowledged,
    missing: 0,
    unreadWrong: 0,
  });
  expect(result.cpuUsPerMessage).toBeGreaterThan(0);
  expect(result.quorumWritesPerMessage).toBeGreaterThan(1);
  expect(result.processes.map(({ name }) => name)).toContain("b/kvsvr");
}, 180_000);

test("load: a backlog is synced by those who were away", async () => {
  const result = await load("backlog", "--factor", "0.2", "--seconds", "3");
  expect(result.backlogSyncs.count).toBe(4);
  expect(result.ledger?.deliveries).toBe(result.acknowledged * 6);
}, 120_000);

test("load: a search ends with a rate", async () => {
  const args = ["--factor", "0.005", "--seconds", "1", "--p99", "0.1"];
  const result = await load("W6", ...args);
  expect(result.balancePerSecond).toBe(0);
  expect(result.search.length).toBeGreaterThan(0);
}, 120_000);
