/** Clean drain: every process of a platform is stopped and started again, one after the other, under load. */
import { setTimeout as rest } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TricampusClient } from "../sdk/client.ts";
import { clientEndpoints, planLayout } from "../services/platform/layout.ts";
import type { Platform } from "../services/platform/platform.ts";
import { signal } from "../services/platform/process-facts.ts";
import { removePlatform, startPlatform } from "./testing/own-platform.ts";

const CLIENTS = 9;
const PAUSE_MS = 50;

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform("compact");
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

test("drain: a rolling restart of every process under load fails no send", async () => {
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
  let isOver = false;
  const talk = async (client: TricampusClient, i: number) => {
    for (let n = 0; !isOver; n++) {
      const userId = clients[(i + 1 + (n % (CLIENTS - 1))) % CLIENTS]!.userId!;
      const text = `${i} ${n}`;
      await client.send({ userId }, text).then(
        () => void sent.push(text),
        (error: Error) => void failures.push(`${text}: ${error.message}`),
      );
      await rest(PAUSE_MS);
    }
  };
  const talking = Promise.all(clients.map(talk));
  for (const { name } of planLayout(platform.config).processes) await restart(name);
  isOver = true;
  await talking;
  expect(failures).toEqual([]);
  expect(sent.length).toBeGreaterThan(200);
  const isMissing = () => sent.filter((text) => !received.has(text));
  await expect.poll(isMissing, { timeout: 60_000 }).toEqual([]);
  await Promise.all(clients.map((client) => client.close()));
}, 600_000);
