/**
 * Clean drain: every process of a platform is stopped and started again, one after the other, under load:
 * stores, queue logs, access, logic, and the modules that stand apart, in all campuses; then each campus as a
 * whole, with its supervisor.
 */
import { setTimeout as rest } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TricampusClient } from "../sdk/client.ts";
import { clientEndpoints, planLayout } from "../services/platform/layout.ts";
import type { Platform } from "../services/platform/platform.ts";
import { signal } from "../services/platform/process-facts.ts";
import { removePlatform, startPlatform } from "./testing/own-platform.ts";

const CLIENTS = 9;
const PAUSE_MS = 50;
/** Of so many rounds of a client one is a message to the group; a moment, and a look at the group. */
const GROUP_EVERY = 10;
const POST_EVERY = 10;

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform("modules");
}, 120_000);
afterAll(() => removePlatform(platform), 60_000);

const processOf = async (name: string) => {
  const reports = await platform.reports();
  return reports.flatMap(({ processes }) => processes).find((process) => process.name === name)!;
};

async function restart(name: string): Promise<void> {
  const { pid } = await processOf(name);
  signal(pid, "SIGTERM");
  const isAnew = async () => {
    const now = await processOf(name);
    return now.state === "ready" && now.pid !== pid;
  };
  await expect.poll(isAnew, { timeout: 60_000 }).toBe(true);
  expect((await processOf(name)).lastEnd).toBe("exit code 0");
}

/** The whole campus, its supervisor with it: asked to end, and started anew. */
async function restartCampus(name: string): Promise<void> {
  const campus = platform.campus(name)!;
  const before = (await campus.report()).processes.map(({ pid }) => pid);
  await campus.stop();
  await campus.start();
  await platform.waitReady(60_000);
  const after = (await campus.report()).processes.map(({ pid }) => pid);
  expect(after.filter((pid) => before.includes(pid))).toEqual([]);
}

test("drain: a rolling restart of every process under load fails no send, no post and no reading", async () => {
  const endpoints = clientEndpoints(platform.config).map(({ campus, host, port }) => {
    return { campus, url: `ws://${host}:${port}` };
  });
  const failures: string[] = [];
  const received = new Set<string>();
  const sent: string[] = [];
  const clients: TricampusClient[] = [];
  for (let i = 0; i < CLIENTS; i++) {
    // Three in each campus.
    const own = [...endpoints.slice(i % 3), ...endpoints.slice(0, i % 3)];
    const onMessage = ({ text }: { text: string }) => void received.add(text);
    const client = new TricampusClient({ endpoints: own, device: "phone", onMessage });
    clients.push(client);
    await client.register(`person-${i}`, "correct-horse");
    await client.connect();
  }
  const others = clients.slice(1).map(({ userId }) => userId!);
  const groupId = await clients[0]!.groups.create("all", others);
  let isOver = false;
  const asked = { posts: 0, readings: 0 };
  const talk = async (client: TricampusClient, i: number) => {
    for (let n = 0; !isOver; n++) {
      const userId = clients[(i + 1 + (n % (CLIENTS - 1))) % CLIENTS]!.userId!;
      const text = `${i} ${n}`;
      const to = n % GROUP_EVERY === 1 ? { groupId } : { userId };
      const failed = (error: Error) => void failures.push(`${text}: ${error.message}`);
      await client.send(to, text).then(() => void sent.push(text), failed);
      if (n % POST_EVERY === 0) {
        await client.moments.post({ text }).then(() => void asked.posts++, failed);
        await client.groups.get(groupId).then(() => void asked.readings++, failed);
      }
      await rest(PAUSE_MS);
    }
  };
  const talking = Promise.all(clients.map(talk));
  for (const { name } of planLayout(platform.config).processes) await restart(name);
  for (const { name } of platform.campuses) await restartCampus(name);
  isOver = true;
  await talking;
  expect(failures).toEqual([]);
  expect(sent.length).toBeGreaterThan(200);
  expect(Math.min(asked.posts, asked.readings)).toBeGreaterThan(10);
  const isMissing = () => sent.filter((text) => !received.has(text));
  await expect.poll(isMissing, { timeout: 60_000 }).toEqual([]);
  await Promise.all(clients.map((client) => client.close()));
}, 600_000);
