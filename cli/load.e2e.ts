/** Loads on a platform of their own, one of them while a campus is killed; and its audit. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Keyspace, Level } from "../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { KvClient } from "../services/kvsvr/client.ts";
import type { Platform } from "../services/platform/platform.ts";
import { Inspector } from "./connect.ts";
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

test("audit: a sample of all these users is clean; a conversation whose rows somebody removed is missed", async () => {
  const { dataDir } = platform.config;
  const clean = await tricampus(dataDir, ["audit", "--users", "15", "--json"]);
  expect({ code: clean.code, stderr: clean.stderr }).toEqual({ code: 0, stderr: "" });
  const report = JSON.parse(clean.stdout) as { users: number; messages: number };
  expect(report.users).toBe(15);
  expect(report.messages).toBeGreaterThan(15);
  const { userId, removed } = await removeConversation();
  const damaged = await tricampus(dataDir, ["audit", userId]);
  expect(damaged.code).toBe(1);
  expect(damaged.stdout).toContain(`missing        ${removed}\n`);
}, 180_000);

/** Removes a delivered 1:1 conversation from somebody's inbox, as no service would; its audit has but the mark. */
async function removeConversation(): Promise<{ userId: string; removed: number }> {
  const { dataDir } = platform.config;
  const inspector = new Inspector(platform);
  try {
    const kv = new KvClient(inspector.callee("kvsvr"));
    const listed = await tricampus(dataDir, ["audit", "--users", "1000", "--json"]);
    const users = (JSON.parse(listed.stdout) as { userIds: string[] }).userIds;
    for (const userId of users) {
      const key = { keyspace: Keyspace.INBOX, key: Buffer.from(userId) };
      const scan = { limit: 1_000, reverse: false, level: Level.STRONG };
      const range = { first: Buffer.from("m/c:"), end: Buffer.from("m/d") };
      const { rows } = await kv.scanRows({ key, ...range, ...scan });
      if (rows.length === 0) continue;
      const conversation = conversationOf(rows[0]!.row);
      const its = rows.filter(({ row }) => conversationOf(row) === conversation);
      const operations = its.map(({ row }) => ({
        operation: { case: "delete" as const, value: row },
      }));
      await kv.change({ key, change: { guards: [], operations } });
      return { userId, removed: its.length };
    }
    throw new Error("nobody has a message");
  } finally {
    inspector.stop();
  }
}

/** Of the row `m/<conversation>/<8 bytes sequence>`. */
function conversationOf(row: Uint8Array): string {
  return Buffer.from(row).subarray(0, -8).toString();
}
