/**
 * `tricampus campus block` on a whole platform: service calls and clients leave the blocked campus, no
 * user notices, and it ends by itself.
 */
import { setTimeout as rest } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StatusReply } from "../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import { TricampusClient } from "../sdk/client.ts";
import { clientEndpoints } from "../services/platform/layout.ts";
import type { Platform } from "../services/platform/platform.ts";
import { Inspector } from "./connect.ts";
import { routedCalls } from "./routed-calls.ts";
import { removePlatform, replayDemo, startPlatform, tricampus } from "./testing/own-platform.ts";

const LAST_CALL_MS = 2_000;
const ALL_GONE_MS = 10_000;
const CLIENTS = 9;

let platform: Platform;
let inspector: Inspector;
beforeAll(async () => {
  platform = await startPlatform("compact");
  inspector = new Inspector(platform);
}, 60_000);
afterAll(async () => {
  inspector.stop();
  await removePlatform(platform);
}, 30_000);

const run = (...words: string[]) => tricampus(platform.config.dataDir, words);
const json = async (...words: string[]) => {
  const { code, stdout, stderr } = await run(...words, "--json");
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout);
};

async function statusesOf(campus: string): Promise<StatusReply[]> {
  const names = ["access", "kvsvr", "logic"].map((name) => `${campus}/${name}`);
  const statuses = await inspector.statuses(new Set(names));
  expect(statuses.size).toBe(names.length);
  return [...statuses.values()];
}

/** Numbers of all processes of a campus, added up by name. */
async function monitorsOf(campus: string): Promise<Map<string, number>> {
  const all = await statusesOf(campus);
  return added(all.flatMap(({ monitors }) => monitors.map(({ name, value }) => [name, value])));
}

function added(counts: Iterable<[name: string, value: number]>): Map<string, number> {
  const sums = new Map<string, number>();
  for (const [name, value] of counts) sums.set(name, (sums.get(name) ?? 0) + value);
  return sums;
}

/** Service calls that came to a campus, by method. */
async function callsIn(campus: string): Promise<Record<string, number>> {
  const all = await statusesOf(campus);
  return Object.fromEntries(added(all.flatMap((status) => [...routedCalls(status)])));
}

async function pushCallsIn(campus: string): Promise<number> {
  const methods = (await statusesOf(campus)).flatMap((status) => status.methods);
  return methods.reduce((sum, { name, arrived }) => sum + (name === "Push/Push" ? arrived : 0), 0);
}

async function clientsIn(campus: string): Promise<number> {
  const monitors = await monitorsOf(campus);
  return monitors.get("access.connections_opened")! - monitors.get("access.connections_ended")!;
}

/** People who write to each other and to groups all the time, connected in campus b if they can be. */
class Crowd {
  readonly clients: TricampusClient[] = [];
  readonly failures: string[] = [];
  sent = 0;
  #going = true;
  #talking: Promise<void>[] = [];

  async start(): Promise<void> {
    const endpoints = clientEndpoints(platform.config)
      .map(({ campus, host, port }) => ({ campus, url: `ws://${host}:${port}` }))
      .sort((x, y) => Number(y.campus === "b") - Number(x.campus === "b"));
    for (let i = 0; i < CLIENTS; i++) {
      const client = new TricampusClient({ endpoints, device: "phone" });
      this.clients.push(client);
      await client.register(`person-${i}`, "correct-horse");
      await client.connect();
    }
    const members = this.clients.map((client) => client.userId!);
    // A group each: their streams are spread over the campuses.
    const groups = await Promise.all(
      this.clients.map((client, i) => client.groups.create(`of ${i}`, members)),
    );
    this.#talking = this.clients.map((client, i) => this.#talk(client, i, groups[i]!));
  }

  async #talk(client: TricampusClient, i: number, groupId: string): Promise<void> {
    for (let n = 0; this.#going; n++) {
      const userId = this.clients[(i + 1 + (n % (CLIENTS - 1))) % CLIENTS]!.userId!;
      const to = n % 4 === 0 ? { groupId } : { userId };
      await client.send(to, `${n}`).catch((error: Error) => this.failures.push(error.message));
      this.sent += 1;
      await rest(60);
    }
  }

  async stop(): Promise<void> {
    this.#going = false;
    await Promise.all(this.#talking);
    await Promise.all(this.clients.map((client) => client.close()));
  }
}

test("a dry run says what speaks against a block, and changes nothing", async () => {
  const dry = await json("campus", "block", "b", "--dry-run");
  expect(dry).toMatchObject({ what: "b", blocked: false });
  const names = dry.checks.map(({ name, ok }: { name: string; ok: boolean }) => `${name}: ${ok}`);
  expect(names).toEqual([
    "nothing is blocked: true",
    "every process answers: true",
    "the clocks agree: true",
    "every replica of the store is caught up: true",
    "two campuses can carry the load: true",
  ]);
  expect((await json("campus", "audit")).changes).toEqual([]);
  await run("campus", "block", "c", "--for", "1m", "--why", "an older drill");
  const { code, stdout } = await run("campus", "block", "b", "--dry-run");
  expect([code, stdout]).toEqual([1, expect.stringMatching(/NO +nothing is blocked +c\n/)]);
  expect(stdout).toContain("1 of 5 checks speak against blocking b. Nothing was changed.");
  await run("campus", "unblock", "c");
});

test("block: calls leave within 2 s, clients within 10 s, nobody sees a failure, and all come back", async () => {
  const crowd = new Crowd();
  await crowd.start();
  try {
    expect(crowd.clients.map((client) => client.campus)).toEqual(crowd.clients.map(() => "b"));
    await rest(1_000);
    expect(Object.keys(await callsIn("b")).sort()).toEqual(
      expect.arrayContaining(["Kv/Batch", "InboxData/Deliver", "Text/Send"]),
    );
    const block = await json("campus", "block", "b", "--for", "1m", "--why", "a drill");
    const returnedMs = performance.now();
    expect(block).toMatchObject({ what: "b", why: "a drill", forced: false });

    await rest(LAST_CALL_MS - (performance.now() - returnedMs));
    const callsBefore = await callsIn("b");
    const sentBefore = crowd.sent;
    await rest(ALL_GONE_MS - 500 - (performance.now() - returnedMs));
    expect(await clientsIn("b")).toBe(0);
    expect(
      crowd.clients.filter(({ campus, state }) => campus === "b" || state !== "attached"),
    ).toEqual([]);
    const pushes = await pushCallsIn("b");
    await rest(1_000);
    expect(await callsIn("b")).toEqual(callsBefore);
    expect(await pushCallsIn("b")).toBe(pushes);
    expect(crowd.sent).toBeGreaterThan(sentBefore + 100);

    expect(await json("campus", "unblock", "b")).toEqual({ unblocked: "b" });
    const callsAtUnblock = (await callsIn("b"))["Kv/Batch"]!;
    await rest(LAST_CALL_MS);
    expect((await callsIn("b"))["Kv/Batch"]).toBeGreaterThan(callsAtUnblock + 20);
    expect(await clientsIn("a")).toBeGreaterThan(0);
  } finally {
    await crowd.stop();
  }
  expect(crowd.failures).toEqual([]);
}, 90_000);

test("block: one campus after the other in a conversation, each over by itself, ledger clean", async () => {
  const step = (at: number, campus: string) => ({
    at,
    text: `campus ${campus} blocked for 3 s`,
    act: async () => {
      await json("campus", "block", campus, "--for", "3s", "--why", "a short drill");
    },
  });
  // Blocks of two campuses stand 2 s apart at least: clocks may differ.
  const steps = [step(0.1, "b"), step(0.55, "c")];
  const { findings, result } = await replayDemo(platform, { limit: 60, overSeconds: 18, steps });
  expect(findings).toEqual([]);
  expect(result).toMatchObject({ failedSends: 0, missing: 0, duplicates: 0, outOfOrder: 0 });
  await expect.poll(async () => (await json("status")).blocks, { timeout: 10_000 }).toEqual([]);
}, 90_000);

test("block: one service in one campus, a second block refused, shown in status and audit", async () => {
  await json("campus", "block", "b/text", "--for", "1h", "--why", "a new version", "--as", "ann");
  for (const other of ["a", "c/text"]) {
    const refused = await run("campus", "block", other, "--for", "1m", "--why", "too much");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^tricampus: b\/text is blocked, by ann \(a new version\)/);
  }
  await json("campus", "block", "b", "--for", "2h", "--why", "a new switch", "--as", "bob");
  const { blocks } = await json("status");
  expect(blocks.map(({ what, who }: { what: string; who: string }) => [what, who])).toEqual([
    ["b/text", "ann"],
    ["b", "bob"],
  ]);
  expect((await run("status")).stdout).toMatch(
    /^b is blocked for (2 h 0|1 h 59) m more by bob: a new sw/m,
  );
  for (const what of ["b/text", "b"]) await json("campus", "unblock", what, "--as", "cid");
  const again = await run("campus", "unblock", "b");
  expect(again).toMatchObject({ code: 1, stderr: "tricampus: b is not blocked: nothing is\n" });
  const { changes } = await json("campus", "audit");
  const last = changes.slice(-4).map((c: Record<string, string>) => [c.who, c.did, c.what, c.why]);
  expect(last).toEqual([
    ["ann", "block", "b/text", "a new version"],
    ["bob", "block", "b", "a new switch"],
    ["cid", "unblock", "b/text", "a new version"],
    ["cid", "unblock", "b", "a new switch"],
  ]);
  expect((await run("campus", "audit")).stdout).toContain("a new switch");
}, 60_000);

test("block: refused while a replica that is needed is not there, unless forced", async () => {
  const campus = platform.campus("a")!;
  await campus.kill();
  const words = ["campus", "block", "b", "--for", "1m", "--why", "no matter what"];
  const refused = await run(...words);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(
    /^tricampus: the store's replica in campus a does not serve .* wait, or add --force\n$/,
  );
  await json("campus", "block", "b/text", "--for", "1m", "--why", "no replica of the store");
  expect(await json(...words, "--force")).toMatchObject({ what: "b", forced: true });
  expect((await run("status")).stdout).toMatch(/^b is blocked for .* by .*, forced: no matter wh/m);
  await campus.start();
  await platform.waitReady(30_000);
  for (const what of ["b/text", "b"]) await json("campus", "unblock", what);
}, 90_000);
