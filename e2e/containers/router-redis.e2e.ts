/** The router on a real Redis: what every engine does, and what a Redis that dies or is silent costs. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@redis/client";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { routerEngineSuite } from "../../services/router/engine.suite.ts";
import { RedisRouter } from "../../services/router/redis.ts";
import { silentLogger } from "../../services/svrkit/log.ts";
import type { Container } from "./testing/container.ts";
import { secretsFolder, startRedis } from "./testing/servers.ts";

let redis: Container;
let secretsDir: string;
let made = 0;
let routers: RedisRouter[] = [];

beforeAll(async () => {
  redis = await startRedis();
  secretsDir = secretsFolder(["password"]);
});

afterEach(() => {
  for (const router of routers) router.close();
  routers = [];
});

afterAll(async () => {
  await redis?.remove();
  rmSync(secretsDir, { recursive: true });
});

const url = () => `redis://127.0.0.1:${redis.port}`;

function start({ connectionsMax = 100, prefix = `test:${++made}:`, incompleteMs = 0 } = {}) {
  const router = new RedisRouter({
    ...{ connectionsMax, url: url(), secretsDir, prefix, incompleteMs, log: silentLogger() },
  });
  routers.push(router);
  return router;
}

async function open(options: Parameters<typeof start>[0] = {}) {
  const router = start(options);
  await expect.poll(() => router.silent).toBeUndefined();
  return router;
}

routerEngineSuite("on Redis", ({ connectionsMax }) => open({ connectionsMax }));

const report = (access: string, numbers: readonly number[], complete = false) => ({
  ...{ access, campus: "a", complete, offline: [] },
  online: numbers.map((number) => ({ number, userId: `u${number}`, device: "phone" })),
});

test("router on Redis: one that starts knows whom the one before knew", async () => {
  const before = await open({ prefix: "shared:" });
  await before.register(report("a/access#1", [1, 2]), 1_000);
  before.close();
  const after = await open({ prefix: "shared:" });
  expect(await after.lookup(["u1", "u2"], 1_001)).toHaveLength(2);
});

test("router on Redis: empty, it is incomplete until everybody was told to it", async () => {
  const born = { prefix: "born:", incompleteMs: 2_000 };
  const [one, other] = [await open(born), await open(born)];
  expect([one.isIncomplete, other.isIncomplete]).toEqual([true, true]);
  await one.register(report("a/access#1", [1], true), 1_000);
  expect(await other.lookup(["u1"], 1_000)).toHaveLength(1);
  await expect.poll(() => [one.isIncomplete, other.isIncomplete]).toEqual([false, false]);
  const later = await open(born);
  expect(later.isIncomplete).toBe(false);
});

test("router on Redis: one that does not say at first whether it is empty is asked again", async () => {
  const password = readFileSync(join(secretsDir, "password"), "utf8");
  const admin = await createClient({ url: url(), password }).connect();
  await admin.sendCommand(["ACL", "SETUSER", "default", "-set"]);
  const router = start();
  await expect.poll(() => router.silent).toContain("NOPERM");
  expect(router.isIncomplete).toBe(true);
  await admin.sendCommand(["ACL", "SETUSER", "default", "+set"]);
  await expect.poll(() => router.silent).toBeUndefined();
  expect(await router.lookup(["u1"], 1_000)).toEqual([]);
  admin.destroy();
});

test("router on Redis: a report of thousands is taken over whole, and replaced whole", async () => {
  const router = await open({ connectionsMax: 10_000 });
  const numbers = Array.from({ length: 5_000 }, (_, i) => i + 1);
  await router.register(report("a/access#1", numbers, true), 1_000);
  expect(await router.count(1_000)).toEqual({ users: 5_000, connections: 5_000 });
  await router.register(report("a/access#1", numbers.slice(4_990), true), 1_001);
  expect(await router.count(1_001)).toEqual({ users: 10, connections: 10 });
  const asked = numbers.map((number) => `u${number}`);
  expect(await router.lookup(asked, 1_002)).toHaveLength(10);
});

test("router on Redis: killed, it is missed at once, and full again with the next report", async () => {
  const router = await open();
  await router.register(report("a/access#1", [1, 2]), 1_000);
  await redis.kill();
  await expect(router.lookup(["u1"], 1_000)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await expect.poll(() => router.silent).toContain("does not answer");
  await redis.bringUp();
  await expect.poll(() => router.silent).toBeUndefined();
  // It keeps nothing on disk.
  expect(await router.lookup(["u1"], 1_000)).toEqual([]);
  await router.register(report("a/access#1", [1, 2], true), 1_000);
  expect(await router.lookup(["u1", "u2"], 1_000)).toHaveLength(2);
});

test("router on Redis: silent, its calls fail, and it is back by itself", async () => {
  const router = await open();
  await router.register(report("a/access#1", [1]), 1_000);
  await redis.pause();
  await expect(router.lookup(["u1"], 1_000)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await expect(router.register(report("a/access#1", [2]), 1_000)).rejects.toThrow("Redis");
  // An access process that tries again does not pile up here what it has to say.
  const again = [3, 4, 5].map((number) => router.register(report("a/access#1", [number]), 1_000));
  const outcomes = await Promise.allSettled(again);
  const reasons = outcomes.map((outcome) => (outcome as PromiseRejectedResult).reason.message);
  expect(reasons.at(-1)).toBe("2 reports of a/access are under way: retry");
  await expect.poll(() => router.silent).toContain("does not answer");
  await redis.unpause();
  await expect.poll(() => router.silent).toBeUndefined();
  expect(await router.lookup(["u1"], 1_000)).toHaveLength(1);
});
