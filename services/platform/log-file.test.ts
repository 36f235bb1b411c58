import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LogFile } from "./log-file.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-log-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("log file: grows to its limit, then the old one is kept beside the new one", () => {
  const path = join(dir, "logs", "p.log");
  const log = new LogFile(path, 100);
  for (let line = 0; line < 25; line++) log.append(`line number ${line % 10}\n`);
  log.close();
  expect(statSync(path).size).toBeLessThanOrEqual(100);
  expect(statSync(`${path}.1`).size).toBeLessThanOrEqual(100);
  expect(readFileSync(path, "utf8")).toMatch(/^(line number \d\n)+$/);
});

test("log file: one that was there already is continued", () => {
  const path = join(dir, "p.log");
  for (const text of ["one\n", "two\n"]) {
    const log = new LogFile(path);
    log.append(text);
    log.close();
  }
  expect(readFileSync(path, "utf8")).toBe("one\ntwo\n");
});

test("log file: what cannot be written is counted, and nobody dies", () => {
  const path = join(dir, "taken");
  mkdirSync(path);
  const log = new LogFile(path);
  log.append("12345");
  expect(log.lostBytes).toBe(5);
});
