import {
  appendFileSync,
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
import { systemFiles } from "./files.ts";
import { Log, LogDamaged } from "./log.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-log-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function open(): Promise<{ log: Log; replayed: string[] }> {
  const replayed: string[] = [];
  const log = await Log.open({
    dir,
    files: systemFiles,
    replay: (bytes, start, end) => replayed.push(bytes.toString("utf8", start, end)),
    fatal: (error) => {
      throw error;
    },
  });
  return { log, replayed };
}

async function write(log: Log, ...texts: string[]): Promise<void> {
  for (const text of texts) {
    log.append((w, t) => w.raw(Buffer.from(t)), text);
    await log.durable(log.appended);
  }
}

const segment = () => join(dir, readdirSync(dir).sort().at(-1)!);

test("log: what was durable is replayed, over rotations too", async () => {
  const first = await open();
  await write(first.log, "one", "two");
  expect(await first.log.rotate()).toBe(1);
  await write(first.log, "three");
  await first.log.close();
  const second = await open();
  expect(second.replayed).toEqual(["one", "two", "three"]);
  await second.log.removeThrough(1);
  await second.log.close();
  const third = await open();
  expect(third.replayed).toEqual(["three"]);
  await third.log.close();
});

test("log: a torn end is cut off and written over", async () => {
  const first = await open();
  await write(first.log, "one", "two");
  await first.log.close();
  const whole = readFileSync(segment()).length;
  appendFileSync(segment(), Buffer.from("half a record that nobody was answered for"));
  const second = await open();
  expect(second.replayed).toEqual(["one", "two"]);
  expect(readFileSync(segment()).length).toBe(whole);
  await write(second.log, "three");
  await second.log.close();
  const third = await open();
  expect(third.replayed).toEqual(["one", "two", "three"]);
  await third.log.close();
});

test("log: a last record cut short is the torn end too", async () => {
  const first = await open();
  await write(first.log, "one", "two");
  await first.log.close();
  truncateSync(segment(), readFileSync(segment()).length - 1);
  const second = await open();
  expect(second.replayed).toEqual(["one"]);
  await second.log.close();
});

test("S3: a flipped bit before a durable record is damage, not a torn end", async () => {
  const { log } = await open();
  await write(log, "one", "two", "three");
  await log.close();
  const bytes = readFileSync(segment());
  bytes[bytes.indexOf("one")]! ^= 1;
  writeFileSync(segment(), bytes);
  await expect(open()).rejects.toThrow(LogDamaged);
});

test("log: a broken closed segment is damage", async () => {
  const { log } = await open();
  await write(log, "one");
  await log.rotate();
  await write(log, "two");
  await log.close();
  truncateSync(join(dir, readdirSync(dir).sort()[0]!), 20);
  await expect(open()).rejects.toThrow(LogDamaged);
});
