/** That a power cut takes what was not synced, and nothing else, whoever wrote it. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Random } from "../../services/svrkit/seeded-random.ts";
import { buildNotes, cutPower, unsyncedBytes } from "./power-cut.ts";

const LMDB = import.meta.resolve("lmdb");

let root: string;
let disk: string;
let journals: string;
let environment: ReturnType<typeof buildNotes>;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "tricampus-power-"));
  environment = buildNotes(root);
});
beforeEach((test) => {
  disk = join(root, test.task.id, "disk");
  journals = join(root, test.task.id, "journals");
  mkdirSync(disk, { recursive: true });
  mkdirSync(journals);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A process that carries out the script in the disk's folder, and is killed at its end. */
function killedAfter(script: string): void {
  const env = { ...process.env, ...environment(disk, journals) };
  const source = `import fs from "node:fs"; ${script}; process.kill(process.pid, "SIGKILL");`;
  try {
    execFileSync(process.execPath, ["--input-type=module", "-e", source], { env, cwd: disk });
  } catch (error) {
    if ((error as { signal?: string }).signal !== "SIGKILL") throw error;
  }
}

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
  const loss = cutPower({ disk, journals }, false, new Random(1, "power"));
  expect(loss).toEqual({ files: FILES, unsynced: 7 * FILES });
  for (const name of names) expect(log(name)).toMatch(/^dur[aT][bH][lE]e(?:R(?:E(?:ST?)?)?)?$/);
  const left = new Set(names.map((name) => log(name)));
  const each = ["durable", "durTHEe", "durableREST", "durTHEeREST"];
  expect([...left]).toEqual(expect.arrayContaining(each));
});

test("power cut: what was cut off, written over and emptied is back; a syncing write stays", () => {
  killedAfter(`
    const path = "${disk}/log";
    const file = fs.openSync(path, "w");
    fs.writeSync(file, "0123456789", 0);
    fs.fsyncSync(file);
    fs.ftruncateSync(file, 4);
    fs.writeSync(file, "xx", 2);
    const own = fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_DSYNC);
    fs.writeSync(own, "cc", 0);
    fs.closeSync(file);
    fs.writeFileSync(path, "other");`);
  expect(log()).toBe("other");
  cutPower({ disk, journals }, true, new Random(1, "power"));
  expect(log()).toBe("cc23456789");
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
