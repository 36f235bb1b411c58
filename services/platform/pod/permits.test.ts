import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ProcessConfig } from "../process-config.ts";
import type { Permits } from "./files.ts";
import { applyPermits } from "./permits.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-permits-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const disk = () => join(dir, "kvsvr");

function permit(permits: Permits): void {
  const path = join(dir, "permits.json");
  writeFileSync(path, JSON.stringify(permits));
  const services = [{ name: "kvsvr", dataDir: disk(), options: {} }];
  applyPermits(path, { campus: "b", services } as unknown as ProcessConfig);
}

test("permits: an empty folder may become a disk, one that holds anything may not", () => {
  permit({});
  expect(readdirSync(disk())).toEqual([]);
  permit({ bootstrap: ["kvsvr"] });
  expect(readdirSync(disk())).toEqual(["bootstrap"]);
  rmSync(join(disk(), "bootstrap"));
  writeFileSync(join(disk(), "log"), "votes");
  permit({ bootstrap: ["kvsvr"] });
  expect(readdirSync(disk())).toEqual(["log"]);
});

test("permits: where the first disk is made, an empty folder has lost it, though others are still to come", () => {
  const made = (campus: string) => [{ service: "kvsvr", campus } as const];
  permit({ bootstrap: ["kvsvr"], made: made("b") });
  expect(readdirSync(disk())).toEqual([]);
  permit({ bootstrap: ["kvsvr"], made: made("a") });
  expect(readdirSync(disk())).toEqual(["bootstrap"]);
});

test("permits: a replica begins anew once a token, in its own campus", () => {
  mkdirSync(disk(), { recursive: true });
  const rebuild = (campus: string, token: string) =>
    permit({ rebuild: [{ service: "kvsvr", campus, token }] });
  rebuild("a", "t1");
  expect(existsSync(join(disk(), "rebuild"))).toBe(false);
  rebuild("b", "t1");
  expect(existsSync(join(disk(), "rebuild"))).toBe(true);
  rmSync(join(disk(), "rebuild")); // it is done
  rebuild("b", "t1");
  expect(existsSync(join(disk(), "rebuild"))).toBe(false);
  rebuild("b", "t2");
  expect(existsSync(join(disk(), "rebuild"))).toBe(true);
});
