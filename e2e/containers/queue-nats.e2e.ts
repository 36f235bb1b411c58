/** The queue on real JetStream servers, one a campus: what every engine does, kills and pauses. */
import { rmSync } from "node:fs";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { testQueue } from "../../services/queue/cluster.suite.ts";
import { CAMPUSES, QueueCluster } from "../../services/queue/testing/cluster.ts";
import { Ledger, Workers } from "../../services/queue/testing/consumer.ts";
import { EmbeddedLog } from "../../services/queuelog/storage/embedded.ts";
import {
  appending,
  type EngineUnderTest,
  entry,
  epoch,
  testLogEngine,
  texts,
} from "../../services/queuelog/storage/engine.suite.ts";
import { NO_ANSWER } from "../../services/queuelog/storage/files.ts";
import { JetStreamFolder } from "../../services/queuelog/storage/jetstream-folder.ts";
import { OwnedStream } from "../../services/queuelog/storage/owned-stream.ts";
import { monotonicMs } from "../../services/svrkit/call.ts";
import type { Container } from "./testing/container.ts";
import { NATS_SUBSCRIPTIONS_MAX, secretsFolder, startNats } from "./testing/servers.ts";
import { SilentWire } from "./testing/silent-wire.ts";

/** As it is there, or not at all. */
const OPEN = { create: false, waitMs: 60_000 };

const MIB = 1024 * 1024;

let servers: Container[];
let secretsDir: string;
let made = 0;
/** What the logs of a test could not go on after. */
let fatal: string[] = [];

beforeAll(async () => {
  servers = await Promise.all(CAMPUSES.map(() => startNats()));
  secretsDir = secretsFolder(["username", "password"]);
});

afterEach(() => {
  fatal = [];
});

afterAll(async () => {
  await Promise.all(servers.map((server) => server.remove()));
  rmSync(secretsDir, { recursive: true });
});

const urlOf = (server: Container) => `nats://127.0.0.1:${server.port}`;

interface OpenLog {
  readonly engine: EmbeddedLog;
  readonly stream: OwnedStream;
  close(): Promise<void>;
}

interface Sizes {
  readonly segmentBytes?: number;
  readonly cacheBytesMax?: number;
}

async function open(name: string, create: boolean, sizes: Sizes = {}): Promise<OpenLog> {
  const place = { url: urlOf(servers[0]!), secretsDir, stream: name };
  const stream = (await OwnedStream.open(place, { create, waitMs: 60_000 }))!;
  const engine = await EmbeddedLog.open({
    ...{ segmentBytes: MIB, cacheBytesMax: MIB, nowMs: monotonicMs, ...sizes },
    folder: await JetStreamFolder.open(stream),
    fatal: (error) => fatal.push((error as Error).message),
  });
  const close = async () => {
    await engine.close();
    await stream.close();
  };
  return { engine, stream, close };
}

async function underTest(sizes: Sizes): Promise<EngineUnderTest> {
  const name = `suite-${++made}`;
  let log = await open(name, true, sizes);
  const under: EngineUnderTest = {
    engine: log.engine,
    crash: async () => {
      await log.close();
      log = await open(name, false, sizes);
      under.engine = log.engine;
    },
    end: () => log.close(),
  };
  return under;
}

testLogEngine("JetStream log", () => underTest({}));
testLogEngine("JetStream log (no memory for payloads)", () => underTest({ cacheBytesMax: 0 }));
testLogEngine("JetStream log (a segment a batch)", () => underTest({ segmentBytes: 1 }));

const onNats = () => ({
  engine: {
    kind: "nats" as const,
    servers: Object.fromEntries(CAMPUSES.map((name, i) => [name, urlOf(servers[i]!)])),
    secretsDir,
  },
});

testQueue("queue on JetStream", onNats);

test("JetStream log: larger than a message of NATS, and back after a kill of the server", async () => {
  const log = await open("large", true);
  const text = "x".repeat(500_000);
  const slots = Array.from({ length: 40 }, (_, i) => i + 1);
  await Promise.all(slots.map((slot) => log.engine.append(appending(1, [entry(slot, text)]))));
  await servers[0]!.kill();
  await servers[0]!.bringUp();
  await log.close();
  const again = await open("large", false, { cacheBytesMax: 0 });
  expect(again.engine.refusal).toBeUndefined();
  const read: number[] = [];
  for (let more = true; more; ) {
    const page = await again.engine.read("s", read.at(-1) ?? 0);
    read.push(...page.entries.map(({ slot }) => slot));
    more = page.more;
  }
  expect(read).toEqual(slots);
  await again.close();
});

test.each(["kill", "pause"] as const)(
  "JetStream log: a %s refuses writes, and it recovers",
  async (how) => {
    const server = servers[0]!;
    const log = await open(`silent-${how}`, true);
    await log.engine.append(appending(1, [entry(1)]));
    await server[how]();
    for (const attempt of [
      log.engine.append(appending(2, [entry(2, "refused")])),
      log.engine.fence("s", epoch(5)),
    ]) {
      await expect(attempt).rejects.toMatchObject({ code: "STORAGE_REFUSED" });
    }
    expect(texts((await log.engine.read("s", 0)).entries)).toEqual(["1@1: entry 1"]);
    await (how === "kill" ? server.bringUp() : server.unpause());
    // Neither the promise of epoch 5 nor the entry is left, though a paused server took both in the end.
    await expect
      .poll(() => log.engine.append(appending(1, [entry(2, "after")])).catch(() => undefined))
      .toMatchObject({ granted: true });
    await log.close();
    const again = await open(`silent-${how}`, false);
    expect(texts((await again.engine.read("s", 0)).entries)).toEqual([
      "1@1: entry 1",
      "2@1: after",
    ]);
    await again.close();
    expect(fatal).toEqual([]);
  },
);

test("JetStream log: who opened it last has it, and the one before ends", async () => {
  const before = await open("taken", true);
  await before.engine.append(appending(1, [entry(1)]));
  const after = await open("taken", false);
  await expect(before.engine.append(appending(1, [entry(2)]))).rejects.toMatchObject({
    code: "UNAVAILABLE",
  });
  expect(fatal).toEqual([expect.stringContaining("another process appends")]);
  expect((await after.engine.append(appending(2, [entry(2)]))).granted).toBe(true);
  await before.close();
  await after.close();
});

test("JetStream log: an earlier process takes back nothing of what a later one promised", async () => {
  const before = await open("late-cut", true);
  await before.engine.append(appending(1, [entry(1)]));
  await servers[0]!.pause();
  await expect(before.engine.append(appending(1, [entry(2)]))).rejects.toMatchObject({
    code: "STORAGE_REFUSED",
  });
  await servers[0]!.unpause();
  const after = await open("late-cut", false);
  expect((await after.engine.append(appending(2, [entry(3)]))).granted).toBe(true);
  await expect
    .poll(() => before.engine.append(appending(1, [entry(2)])).catch(({ code }) => code))
    .toBe("UNAVAILABLE");
  expect(fatal).toEqual([expect.stringContaining("another process appends")]);
  expect((await after.engine.append(appending(2, [entry(4)]))).granted).toBe(true);
  await before.close();
  await after.close();
  const again = await open("late-cut", false);
  const { entries } = await again.engine.read("s", 0);
  expect(texts(entries)).toEqual(expect.arrayContaining(["3@2: entry 3", "4@2: entry 4"]));
  await again.close();
});

test("JetStream log: what was read is given back to the server", async () => {
  const log = await open("read", true, { cacheBytesMax: 0 });
  await log.engine.append(appending(1, [entry(1)]));
  for (let i = 0; i < 2 * NATS_SUBSCRIPTIONS_MAX; i++)
    expect((await log.engine.read("s", 0)).entries).toHaveLength(1);
  await log.close();
});

test("JetStream log: what cannot be read while the server is silent is not damaged", async () => {
  const log = await open("read-later", true, { cacheBytesMax: 0 });
  await log.engine.append(appending(1, [entry(1)]));
  await servers[0]!.pause();
  await expect(log.engine.read("s", 0)).rejects.toThrow("ask again");
  await servers[0]!.unpause();
  await expect
    .poll(async () => texts((await log.engine.read("s", 0)).entries))
    .toEqual(["1@1: entry 1"]);
  await log.close();
});

test("JetStream log: a server that falls silent in the middle of an answer is not waited for", async () => {
  const log = await open("half", true);
  const text = "x".repeat(100_000);
  for (let slot = 1; slot <= 20; slot++) {
    await log.engine.append(appending(1, [entry(slot, text)]));
  }
  await log.close();
  const wire = await SilentWire.to(servers[0]!.port);
  const url = `nats://127.0.0.1:${wire.port}`;
  const stream = (await OwnedStream.open({ url, secretsDir, stream: "half" }, OPEN))!;
  wire.silenceAfter(1_000_000);
  await expect(JetStreamFolder.open(stream)).rejects.toMatchObject({ code: NO_ANSWER });
  wire.close();
  await stream.close();
});

test("JetStream log: segments without untrimmed entries leave the server", async () => {
  const log = await open("trimmed", true, { segmentBytes: 1 });
  for (let slot = 1; slot <= 30; slot++) {
    await log.engine.append(appending(1, [entry(slot)]));
    log.engine.trim("s", slot - 2);
  }
  let messages = 0;
  for await (const _ of log.stream.read(1, log.stream.last)) messages += 1;
  expect(messages).toBeLessThan(20);
  await log.close();
});

test("JetStream log: what earlier disks of a log left in NATS is found", async () => {
  for (const name of ["left-1-aa", "left-1-bb", "left-2-cc"])
    await (await open(name, true)).close();
  const log = await open("left-1-dd", true);
  expect((await log.stream.others("left-1-")).toSorted()).toEqual(["left-1-aa", "left-1-bb"]);
  await log.close();
});

test("JetStream log: a stream that is gone is not begun anew", async () => {
  const place = { url: urlOf(servers[0]!), secretsDir, stream: "never-made" };
  expect(await OwnedStream.open(place, OPEN)).toBeUndefined();
});

test("queue on JetStream: kills and pauses of servers, one at a time, cost no entry", async () => {
  const cluster = await QueueCluster.start(onNats());
  const ledger = new Ledger();
  const workers = new Workers(cluster, ledger);
  let isOver = false;
  const acknowledged: string[] = [];
  const produce = async (stream: string) => {
    for (let n = 1; !isOver; n++) {
      const id = `${stream}-${n}`;
      const request = { stream, id: Buffer.from(id), payload: Buffer.from(id) };
      await cluster.clientOutside().append(request, { timeoutMs: 20_000 });
      acknowledged.push(`${stream}/${id}`);
    }
  };
  const producing = ["s", "t", "u", "v"].map(produce);
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  for (const [i, server] of servers.entries()) {
    await pause(500);
    await (i === 1 ? server.pause() : server.kill());
    await pause(1_500);
    await (i === 1 ? server.unpause() : server.bringUp());
    await pause(2_500);
  }
  isOver = true;
  await Promise.all(producing);
  await expect.poll(() => acknowledged.filter((key) => !ledger.slots.has(key))).toEqual([]);
  expect(ledger.wrong).toEqual([]);
  expect([...ledger.slots.values()].filter((slots) => slots.length > 1)).toEqual([]);
  expect(acknowledged.length).toBeGreaterThan(100);
  await workers.stop();
  await cluster.stop();
});
