import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Faults, faultyFiles } from "../testing/faulty-files.ts";
import { systemFiles } from "./files.ts";
import { Log } from "./log.ts";
import { LogDamaged } from "./log-segment.ts";
import { SEGMENTS_FILE } from "./log-segments.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-log-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function open(
  files = systemFiles,
  fatal: (error: Error) => void = (error) => {
    throw error;
  },
): Promise<{ log: Log; replayed: string[] }> {
  const replayed: string[] = [];
  const log = await Log.open({
    dir,
    files,
    replay: ({ bytes }, start, end) => replayed.push(bytes.toString("utf8", start, end)),
    fatal,
  });
  return { log, replayed };
}

async function write(log: Log, ...texts: string[]): Promise<void> {
  for (const text of texts) {
    log.append((w, t) => w.raw(Buffer.from(t)), text);
    await log.durable(log.appended);
  }
}

const segments = () =>
  readdirSync(dir)
    .filter((name) => /^log-\d+$/.test(name))
    .sort();
const segment = () => join(dir, segments().at(-1)!);

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

test("S3: any bit that flips in the very last group, behind which nothing is durable, is damage too", async () => {
  const { log } = await open();
  await write(log, "one", "two");
  await log.close();
  const bytes = readFileSync(segment());
  const last = bytes.lastIndexOf(GROUP_BEGINNING);
  for (let bit = 8 * last; bit < 8 * bytes.length; bit++) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    // A torn group may follow, which nobody was answered for.
    for (const torn of ["", "half a record"]) {
      writeFileSync(segment(), Buffer.concat([flipped, Buffer.from(torn)]));
      await expect(open(), `bit ${bit}`).rejects.toThrow("one bit has flipped");
    }
  }
});

/** How each group begins. */
const GROUP_BEGINNING = Buffer.from([0x7c, 0xc7, 0x1e, 0xe1]);
/** So large that a segment is read in several pieces, and one group is larger than a piece. */
const PIECE = 2 * 1024 * 1024;

async function writeLarge(): Promise<{ texts: string[]; path: string }> {
  const { log } = await open();
  const texts = [PIECE - 40, 100, PIECE + 100, 100, PIECE / 2, PIECE / 2, 100].map((length, i) =>
    String(i).repeat(length),
  );
  await write(log, ...texts);
  await log.close();
  return { texts, path: segment() };
}

test("log: a long segment is read in pieces, groups across them too", async () => {
  const { texts } = await writeLarge();
  const { log, replayed } = await open();
  await log.close();
  expect(replayed.map((text) => text.length)).toEqual(texts.map((text) => text.length));
  expect(replayed).toEqual(texts);
});

test.each([0, 1, 2, 3])(
  "S3: damage in a long segment is noticed pieces before the durable end (%i)",
  async (at) => {
    const { texts, path } = await writeLarge();
    const bytes = readFileSync(path);
    bytes[bytes.indexOf(texts[at]!)]! ^= 1;
    writeFileSync(path, bytes);
    await expect(open()).rejects.toThrow(LogDamaged);
  },
);

test("log: of a long segment a torn end of many pieces is cut off", async () => {
  const { texts, path } = await writeLarge();
  const whole = readFileSync(path).length;
  appendFileSync(
    path,
    Buffer.alloc(2 * PIECE, Buffer.concat([GROUP_BEGINNING, Buffer.alloc(9_999, 1)])),
  );
  const { log, replayed } = await open();
  await log.close();
  expect(replayed).toHaveLength(texts.length);
  expect(statSync(path).size).toBe(whole);
});

test("log: a broken closed segment is damage", async () => {
  const { log } = await open();
  await write(log, "one");
  await log.rotate();
  await write(log, "two");
  await log.close();
  truncateSync(join(dir, segments()[0]!), 20);
  await expect(open()).rejects.toThrow(LogDamaged);
});

/** Segments with one record each, the number of which is the segment's. */
async function writeSegments(last: number): Promise<Log> {
  const { log } = await open();
  for (let segment = 1; segment <= last; segment++) {
    if (segment > 1) await log.rotate();
    await write(log, String(segment));
  }
  return log;
}

test.each([1, 2, 3])("S3: a segment that is missing is damage (%i of 4)", async (missing) => {
  const log = await writeSegments(4);
  await log.close();
  rmSync(join(dir, segments()[missing - 1]!));
  await expect(open()).rejects.toThrow(`log segment ${missing} is not there`);
});

test("S3: segments that a loss of power brought back, some of them, are no damage", async () => {
  const log = await writeSegments(5);
  const second = join(dir, segments()[1]!);
  const bytes = readFileSync(second);
  await log.removeThrough(3);
  await log.close();
  writeFileSync(second, bytes);
  const { log: again, replayed } = await open();
  expect(replayed).toEqual(["4", "5"]);
  await again.removeThrough(4);
  await again.close();
  expect(segments()).toEqual(["log-0000000005"]);
});

test("log: which segments an older version has removed since nobody knows", async () => {
  const log = await writeSegments(2);
  const note = readFileSync(join(dir, SEGMENTS_FILE));
  for (const segment of [3, 4]) {
    await log.rotate();
    await write(log, String(segment));
  }
  await log.removeThrough(3);
  await log.close();
  writeFileSync(join(dir, SEGMENTS_FILE), note);
  const first = await open();
  expect(first.replayed).toEqual(["4"]);
  await first.log.rotate();
  await first.log.close();
  rmSync(join(dir, segments()[0]!));
  await expect(open()).rejects.toThrow("log segment 4 is not there");
});

test("log: a full disk that has no room for the note has segments removed all the same", async () => {
  const log = await writeSegments(2);
  await log.close();
  const full = () => Promise.reject(Object.assign(new Error("no space"), { code: "ENOSPC" }));
  const { log: again } = await open({
    ...systemFiles,
    texts: { ...systemFiles.texts, replaceSoon: full },
  });
  await again.removeThrough(1);
  await again.close();
  const { replayed } = await open();
  expect(replayed).toEqual(["2"]);
});

test("log: a rotation that finds no room for the note leaves no file, so the end may still be torn", async () => {
  const { texts } = systemFiles;
  const full = () => Promise.reject(Object.assign(new Error("no space"), { code: "ENOSPC" }));
  const { log } = await open({ ...systemFiles, texts: { ...texts, replaceSoon: full } });
  await write(log, "one");
  await expect(log.rotate()).rejects.toThrow("no space");
  await write(log, "two");
  await log.close();
  expect(segments()).toHaveLength(1);
  appendFileSync(segment(), Buffer.from("half a record that nobody was answered for"));
  const { log: again, replayed } = await open();
  await again.close();
  expect(replayed).toEqual(["one", "two"]);
});

test("S3: an fsync error ends the process, and nothing of what waited is answered", async () => {
  const failures: string[] = [];
  const faults: Faults = { syncDelayMs: 0, writeError: undefined };
  const { log } = await open(faultyFiles(faults), (error) => failures.push(error.message));
  faults.syncError = "EIO";
  log.append((w, t) => w.raw(Buffer.from(t)), "one");
  let answered = false;
  log.durable(log.appended).then(
    () => (answered = true),
    () => (answered = true),
  );
  await expect.poll(() => failures).toEqual(["EIO: injected"]);
  expect(answered).toBe(false);
});

test("S3: an fsync error of a new segment ends the process; a full disk's only refuses it", async () => {
  const failures: string[] = [];
  const faults: Faults = { syncDelayMs: 0, writeError: undefined };
  const { log } = await open(faultyFiles(faults), (error) => failures.push(error.message));
  faults.writeError = "ENOSPC";
  await expect(log.rotate()).rejects.toThrow("ENOSPC");
  expect(failures).toEqual([]);
  faults.writeError = undefined;
  expect(await log.rotate()).toBe(1);
  faults.syncError = "EIO";
  await expect(log.rotate()).rejects.toThrow("EIO");
  expect(failures).toEqual(["EIO: injected"]);
  faults.syncError = undefined;
  await log.close();
});
