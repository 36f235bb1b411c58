import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { monotonicMs } from "../../svrkit/call.ts";
import { FaultyFolder } from "../testing/faulty-folder.ts";
import { EmbeddedLog } from "./embedded.ts";
import {
  appending,
  type EngineUnderTest,
  entry,
  epoch,
  testLogEngine,
  texts,
} from "./engine.suite.ts";
import { NodeFolder } from "./files.ts";

let dir: string;
let folder: FaultyFolder;
let fatal: unknown[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "queuelog-"));
  folder = new FaultyFolder(new NodeFolder(dir));
  fatal = [];
});

afterEach(() => rmSync(dir, { recursive: true, force: true }));

function open(
  options: { segmentBytes?: number; cacheBytesMax?: number } = {},
): Promise<EmbeddedLog> {
  return EmbeddedLog.open({
    folder,
    segmentBytes: 1024 * 1024,
    cacheBytesMax: 1024 * 1024,
    nowMs: monotonicMs,
    fatal: (error) => fatal.push(error),
    ...options,
  });
}

async function underTest(options: Parameters<typeof open>[0]): Promise<EngineUnderTest> {
  const under: EngineUnderTest = {
    engine: await open(options),
    crash: async () => {
      await under.engine.close();
      under.engine = await open(options);
    },
    end: () => under.engine.close(),
  };
  return under;
}

testLogEngine("embedded log", () => underTest({}));
testLogEngine("embedded log (no memory for payloads)", () => underTest({ cacheBytesMax: 0 }));
testLogEngine("embedded log (a segment a batch)", () => underTest({ segmentBytes: 1 }));

const segmentPath = () => join(dir, readdirSync(dir).sort().at(-1)!);

async function withThreeEntries(): Promise<Buffer> {
  const engine = await open();
  for (const slot of [1, 2, 3]) await engine.append(appending(1, [entry(slot)]));
  await engine.close();
  return readFileSync(segmentPath());
}

test("embedded log: a torn tail is cut, at whatever byte the crash fell", async () => {
  const whole = await withThreeEntries();
  const third = whole.lastIndexOf("TQB1");
  for (const size of [third, third + 1, third + 11, third + 12, third + 30, whole.length - 1]) {
    writeFileSync(segmentPath(), whole.subarray(0, size));
    const engine = await open();
    expect(engine.refusal, `${size} bytes`).toBeUndefined();
    expect(texts((await engine.read("s", 0)).entries)).toEqual(["1@1: entry 1", "2@1: entry 2"]);
    await engine.append(appending(1, [entry(3, "again")]));
    await engine.close();
    const reopened = await open();
    expect(texts((await reopened.read("s", 2)).entries)).toEqual(["3@1: again"]);
    await reopened.close();
  }
});

test("embedded log: zeros behind the last batch are a torn tail", async () => {
  const whole = await withThreeEntries();
  writeFileSync(segmentPath(), Buffer.concat([whole, Buffer.alloc(5_000)]));
  const engine = await open();
  expect((await engine.read("s", 0)).entries.length).toBe(3);
  await engine.append(appending(1, [entry(4)]));
  await engine.close();
});

test("embedded log: a flipped byte, anywhere, takes the vote away", async () => {
  const whole = await withThreeEntries();
  for (let at = 0; at < whole.length; at += 3) {
    const damaged = Buffer.from(whole);
    damaged[at]! ^= 0x20;
    writeFileSync(segmentPath(), damaged);
    const engine = await open();
    expect(engine.refusal ?? "", `byte ${at}`).toContain("damaged");
    await expect(engine.fence("s", epoch(9))).rejects.toMatchObject({ code: "STORAGE_REFUSED" });
    await expect(engine.read("s", 0)).rejects.toMatchObject({ code: "STORAGE_REFUSED" });
    await engine.close();
  }
});

test("embedded log: a missing or shortened older segment takes the vote away", async () => {
  const engine = await open({ segmentBytes: 1 });
  for (const slot of [1, 2, 3]) await engine.append(appending(1, [entry(slot)]));
  await engine.close();
  const [, second] = readdirSync(dir).sort();
  const bytes = readFileSync(join(dir, second!));
  truncateSync(join(dir, second!), bytes.length - 1);
  expect((await open()).refusal).toContain("ends inside a batch");
  rmSync(join(dir, second!));
  expect((await open()).refusal).toContain(`${second} is missing`);
});

test("embedded log: segments without untrimmed entries are deleted, promises stay", async () => {
  const engine = await open({ segmentBytes: 1 });
  await engine.fence("old", epoch(7));
  for (let slot = 1; slot <= 20; slot++) {
    await engine.append(appending(1, [entry(slot)]));
    engine.trim("s", slot - 2);
  }
  expect(readdirSync(dir).length).toBeLessThan(7);
  await engine.close();
  const reopened = await open({ segmentBytes: 1 });
  expect(await reopened.fence("old", epoch(6))).toMatchObject({
    granted: false,
    promised: epoch(7),
  });
  expect((await reopened.read("s", 0)).entries.map((e) => e.slot)).toEqual([19, 20]);
  await reopened.close();
});

test("embedded log: nothing is answered before the sync that covers it (200 ms)", async () => {
  const engine = await open();
  folder.syncDelayMs = 200;
  const startMs = performance.now();
  await Promise.all([engine.append(appending(1, [entry(1)])), engine.fence("t", epoch(1))]);
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(199);
  await engine.close();
});

test("embedded log: calls that wait share one sync", async () => {
  const engine = await open();
  folder.syncDelayMs = 20;
  const slots = Array.from({ length: 100 }, (_, i) => i + 1);
  await Promise.all(slots.map((slot) => engine.append(appending(1, [entry(slot)]))));
  expect(folder.syncs).toBeLessThanOrEqual(3);
  await engine.close();
});

test.each(["ENOSPC", "EROFS"])(
  "embedded log: %s refuses writes, reads go on, and it recovers",
  async (code) => {
    const engine = await open();
    await engine.append(appending(1, [entry(1)]));
    folder.refusal = { code, partial: code === "ENOSPC" ? 17 : 0 };
    for (const attempt of [engine.append(appending(2, [entry(2)])), engine.fence("s", epoch(5))]) {
      await expect(attempt).rejects.toMatchObject({ code: "STORAGE_REFUSED" });
    }
    expect(texts((await engine.read("s", 0)).entries)).toEqual(["1@1: entry 1"]);
    folder.refusal = undefined;
    // What was refused left nothing behind: neither the promise of epoch 5 nor the entry.
    expect((await engine.append(appending(1, [entry(2, "after")]))).granted).toBe(true);
    await engine.close();
    const reopened = await open();
    expect(texts((await reopened.read("s", 0)).entries)).toEqual(["1@1: entry 1", "2@1: after"]);
    await reopened.close();
    expect(fatal).toEqual([]);
  },
);

test("embedded log: a new segment that the disk refuses is made later, with every promise", async () => {
  const engine = await open({ segmentBytes: 1 });
  await engine.fence("old", epoch(7));
  await engine.append(appending(1, [entry(1)]));
  engine.trim("s", 1);
  folder.refusal = { code: "ENOSPC", partial: 20 };
  await expect(engine.append(appending(1, [entry(2)]))).rejects.toThrow("takes no writes");
  await expect(engine.append(appending(1, [entry(2)]))).rejects.toThrow("takes no writes");
  folder.refusal = undefined;
  await engine.append(appending(1, [entry(2)]));
  await engine.close();
  const reopened = await open({ segmentBytes: 1 });
  expect(reopened.refusal).toBeUndefined();
  expect(await reopened.fence("old", epoch(6))).toMatchObject({ granted: false });
  expect(texts((await reopened.read("s", 0)).entries)).toEqual(["2@1: entry 2"]);
  await reopened.close();
});

test("embedded log: a failed sync ends it, and nothing is answered", async () => {
  const engine = await open();
  await engine.append(appending(1, [entry(1)]));
  folder.syncError = new Error("EIO");
  const attempts = [
    engine.append(appending(1, [entry(2)])),
    engine.append(appending(1, [entry(3)])),
  ];
  for (const attempt of attempts)
    await expect(attempt).rejects.toMatchObject({ code: "UNAVAILABLE" });
  folder.syncError = undefined;
  await expect(engine.append(appending(1, [entry(4)]))).rejects.toMatchObject({
    code: "UNAVAILABLE",
  });
  expect(fatal).toHaveLength(1);
});

test("embedded log: a log that cannot be written at start serves reads", async () => {
  await withThreeEntries();
  folder.refusal = { code: "EROFS", partial: 0 };
  const engine = await open();
  expect((await engine.read("s", 0)).entries).toHaveLength(3);
  await expect(engine.fence("s", epoch(2))).rejects.toMatchObject({ code: "STORAGE_REFUSED" });
  folder.refusal = undefined;
  expect(await engine.fence("s", epoch(2))).toMatchObject({ granted: true });
  await engine.close();
});
