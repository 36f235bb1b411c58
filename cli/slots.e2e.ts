/** S9 with real processes: a KV group is added, takes half of the slots under load, and goes again. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Keyspace, Level } from "../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { BlockFollower } from "../services/control/follower.ts";
import { KvClient } from "../services/kvsvr/client.ts";
import { Platform } from "../services/platform/platform.ts";
import type { ServiceName } from "../services/platform/services.ts";
import { Beat } from "../services/svrkit/beat.ts";
import { Blocks } from "../services/svrkit/failover/blocks.ts";
import { Shards } from "../services/svrkit/failover/shards.ts";
import { silentLogger } from "../services/svrkit/log.ts";
import { systemTextFiles } from "../services/svrkit/text-files.ts";
import { Inspector } from "./connect.ts";
import { removePlatform, startPlatform, tricampus } from "./testing/own-platform.ts";

const KEYS = 2_000;
const WRITERS = 8;

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform("compact");
}, 60_000);
afterAll(() => removePlatform(platform), 30_000);

const run = (...args: string[]) => tricampus(platform.config.dataDir, args);
const keyOf = (i: number) => ({ keyspace: Keyspace.ACCOUNT, key: Buffer.from(`key-${i}`) });

/** A client as every service has one, which writes keys one after the other and counts. */
function startLoad(kv: KvClient) {
  const written = new Map<number, number>();
  const failures: unknown[] = [];
  const load = { written, failures, operations: 0, worstMs: 0 };
  let isOver = false;
  const write = async (writer: number) => {
    for (let i = writer; !isOver; i = (i + WRITERS) % KEYS) {
      const value = Buffer.from(`${i} ${load.operations}`);
      const expectedVersion = written.get(i) ?? 0;
      const startedMs = performance.now();
      const request = { key: keyOf(i), write: { case: "put" as const, value }, expectedVersion };
      await kv.write(request).then(
        ({ applied, version }) => {
          if (applied && version === expectedVersion + 1) written.set(i, version);
          else failures.push(`key ${i}: applied ${applied}, version ${version}`);
        },
        (error: unknown) => failures.push(error),
      );
      load.operations += 1;
      load.worstMs = Math.max(load.worstMs, performance.now() - startedMs);
    }
  };
  const done = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  return {
    ...{ written, failures, load },
    async stop() {
      isOver = true;
      await done;
    },
  };
}

test("slots: a group is added, rebalanced to under load without a failure, emptied and removed", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-slots-"));
  const inspector = new Inspector(platform);
  const shards = new Shards();
  const callee = (service: string) => inspector.callee(service as ServiceName);
  const follower = new BlockFollower({
    ...{ kvsvr: callee("kvsvr"), campus: "a", blocks: new Blocks(), shards, now: Date.now },
    ...{ files: systemTextFiles, path: join(dir, "blocks.json"), log: silentLogger() },
    beat: new Beat(),
  });
  follower.start();
  try {
    const kv = KvClient.of({ shards, callee });
    expect(await run("slots", "move", "account", "0-9", "--to", "2")).toMatchObject({ code: 2 });
    expect(await run("kv", "group", "add", "--why", "room")).toMatchObject({ code: 0, stderr: "" });
    const { failures, written, load, stop } = startLoad(kv);
    const puts: Promise<unknown>[] = [];
    for (let i = 0; i < 4; i++)
      puts.push(
        run("kv", "put", "inbox", `cli-${i}`, "one").then(({ code }) => expect(code).toBe(0)),
      );
    expect(await run("slots", "rebalance", "--yes")).toMatchObject({ code: 0, stderr: "" });
    await Promise.all(puts);
    await stop();
    console.log(`${load.operations} writes, worst ${Math.round(load.worstMs)} ms`);
    expect(failures).toEqual([]);
    for (const [i, version] of written) {
      const read = await kv.get({ key: keyOf(i), level: Level.STRONG });
      expect([i, read.version]).toEqual([i, version]);
    }
    await showsBoth();
    expect(await run("kv", "verify")).toMatchObject({ code: 0, stderr: "" });
    expect(await run("kv", "group", "remove", "2")).toMatchObject({ code: 1 });
    expect(await run("slots", "rebalance", "--without", "2", "--yes")).toMatchObject({ code: 0 });
    expect(await run("kv", "group", "remove", "2")).toMatchObject({ code: 0, stderr: "" });
    expect(Platform.of(platform.config.dataDir)!.config.kvGroups).toBe(1);
    const last = await run("kv", "get", "inbox", "cli-3");
    expect(last.stdout.trim()).toBe("one");
  } finally {
    follower.stop();
    inspector.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}, 120_000);

async function showsBoth(): Promise<void> {
  const shown = JSON.parse((await run("slots", "show", "--json")).stdout);
  const account = shown.ranges.filter((r: { keyspace: string }) => r.keyspace === "account");
  expect(account.map((r: { group: number }) => r.group)).toEqual([1, 2]);
  expect(account[0].keys).toBeGreaterThan(0);
  expect(account[1].keys).toBeGreaterThan(0);
  const { changes } = JSON.parse((await run("campus", "audit", "--json")).stdout);
  expect(changes.map((c: { did: string }) => c.did)).toEqual(["group-add", "rebalance"]);
}
