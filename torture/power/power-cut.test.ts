/** That a power cut takes what was not synced, and nothing else, whoever wrote it. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Random } from "../../sim/seed.ts";
import { buildNotes, cutPower, unsyncedBytes } from "./power-cut.ts";

const LMDB = import.meta.resolve("lmdb");

let root: string;
let disk: string;
let journals: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tricampus-power-"));
  disk = join(root, "disk");
  journals = join(root, "journals");
  mkdirSync(disk);
  mkdirSync(journals);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A process that carries out the script in the disk's folder, and is killed at its end. */
function killedAfter(script: string): void {
  const env = { ...process.env, ...buildNotes(root)(disk, journals) };
  const source = `import fs from "node:fs"; ${script}; process.kill(process.pid, "SIGKILL");`;
  try {
    execFileSync(process.execPath, ["--input-type=module", "-e", source], { env, cwd: disk });
  } catch (error) {
    if ((error as { signal?: string }).signal !== "SIGKILL") throw error;
  }
}

const writing = () => `
  const path = "${disk}/log";
  const file = fs.openSync(path, "w");
  const put = (text, at) => fs.writeSync(file, text, at);`;

const log = (name = "log") => readFileSync(join(disk, name), "utf8");

test("power cut: what was synced stays; of the rest any part may, and at times each does", () => {
  const FILES = 24;
  killedAfter(`for (let i = 0; i < ${FILES}; i++) {
    const file = fs.openSync("${disk}/log-" + i, "w");
    fs.writeSync(file, "durable", 0);
    fs.fdatasyncSync(file);
    fs.writeSync(file, "THE", 3);
    fs.writeSync(file, "REST", 7);
  }`);
  const names = Array.from({ length: FILES }, (_, i) => `log-${i}`);
  for (const name of names) expect(log(name)).toBe("durTHEeREST");
  expect(unsyncedBytes(journals)).toBe(7 * FILES);
  const loss = cutPower(disk, journals, new Random(1, "power"));
  expect(loss).toEqual({ files: FILES, unsynced: 7 * FILES });
  for (const name of names) expect(log(name)).toMatch(/^dur[aT][bH][lE]e(?:R(?:E(?:ST?)?)?)?$/);
  const left = new Set(names.map((name) => log(name)));
  const each = ["durable", "durTHEe", "durableREST", "durTHEeREST"];
  expect([...left]).toEqual(expect.arrayContaining(each));
});

test("power cut: what was cut off, written over and emptied without a sync is back", () => {
  killedAfter(`${writing()} put("0123456789", 0); fs.fsyncSync(file); fs.ftruncateSync(file, 4);
    put("xx", 2); fs.closeSync(file); fs.writeFileSync(path, "other")`);
  expect(log()).toBe("other");
  cutPower(disk, journals, new Random(seedOf("nothing"), "power"));
  expect(log()).toBe("0123456789");
});

test("power cut: a write to a descriptor that syncs by itself stays", () => {
  killedAfter(`${writing()} put("aaaa", 0); fs.fsyncSync(file); put("bb", 0);
    const own = fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_DSYNC);
    fs.writeSync(own, "cc", 2)`);
  cutPower(disk, journals, new Random(seedOf("nothing"), "power"));
  expect(log()).toBe("aacc");
});

test("power cut: what LMDB has committed stays, and what it does not sync goes", () => {
  const put = (options: string) => `
    const { open } = await import(${JSON.stringify(LMDB)});
    const root = open({ path: "${disk}/state.mdb", ${options} });
    await root.put("key", "value")`;
  killedAfter(put("overlappingSync: false"));
  expect(unsyncedBytes(journals)).toBe(0);
  killedAfter(put("overlappingSync: false, noSync: true"));
  expect(unsyncedBytes(journals)).toBeGreaterThan(4_000);
});

/** A seed whose first choice is this one. */
function seedOf(mode: string): number {
  for (let seed = 1; ; seed++) {
    const drawn = new Random(seed, "power").pick(["nothing", "all", "first", "sectors"]);
    if (drawn === mode) return seed;
  }
}
