/** `kv backup` and `kv restore` as a person types them: a platform with users moves to a new folder. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findBasePort } from "../services/platform/free-ports.ts";
import { Platform } from "../services/platform/platform.ts";
import { removePlatform, startPlatform, tricampus } from "./testing/own-platform.ts";

let dir: string;
let platform: Platform;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-kv-backup-"));
  platform = await startPlatform("compact");
}, 60_000);
afterAll(async () => {
  await removePlatform(platform);
  await removePlatform(Platform.of(join(dir, "new")));
  rmSync(dir, { recursive: true, force: true });
}, 30_000);

const old = (...words: string[]) => tricampus(platform.config.dataDir, words);
const json = async (dataDir: string, ...words: string[]) => {
  const { code, stdout, stderr } = await tricampus(dataDir, [...words, "--json"]);
  expect(stderr).toBe("");
  return { code, ...JSON.parse(stdout) };
};

test("kv backup, kv restore: users, messages and versions go on in a new platform", async () => {
  for (const name of ["ann", "bob"]) {
    await old("user", "register", name, "--password", "correct-horse");
  }
  await old("send", "ann", "hello", "--to", "bob");
  const { groupId } = await json(platform.config.dataDir, "group", "create", "ann", "both", "bob");
  for (const text of ["one", "two", "three"]) await old("send", "ann", text, "--group", groupId);
  await old("kv", "put", "control", "x", "one");
  await old("kv", "put", "control", "x", "two");
  const backup = join(dir, "backup");
  expect(await json(platform.config.dataDir, "kv", "backup", backup)).toMatchObject({
    ...{ code: 0, dir: backup },
  });
  expect(await old("kv", "backup", backup)).toMatchObject({
    ...{ code: 2, stderr: expect.stringMatching(/is not empty: a backup goes into a new folder/) },
  });

  const fresh = join(dir, "new");
  const config = { ...platform.config, dataDir: fresh };
  const basePort = await findBasePort(config);
  const file = join(dir, "config.json");
  writeFileSync(file, JSON.stringify({ basePort, options: platform.config.options }));
  const restored = await tricampus(fresh, ["kv", "restore", backup, "--config", file]);
  expect(restored).toMatchObject({ code: 0, stderr: "" });
  expect(restored.stdout).toMatch(/^Restored \d+ keys and \d+ tables as of 20.*\nStart it: /);
  expect(await tricampus(fresh, ["up"])).toMatchObject({ code: 0, stderr: "" });

  expect(await json(fresh, "kv", "verify")).toMatchObject({ code: 0, differences: 0 });
  expect(await json(fresh, "kv", "get", "control", "x")).toMatchObject({
    version: 2,
    value: "two",
  });
  expect(await json(fresh, "kv", "put", "control", "x", "three")).toMatchObject({ version: 3 });
  const login = ["user", "login", "bob", "--password", "correct-horse"];
  expect(await tricampus(fresh, login)).toMatchObject({ code: 0, stderr: "" });
  const { messages } = await json(fresh, "sync", "bob");
  const texts = messages.map(({ text }: { text: string }) => text).filter(Boolean);
  expect([...texts].sort()).toEqual(["hello", "one", "three", "two"]);
  // Ids made from now on meet none of those in the backup.
  const made = await json(fresh, "user", "register", "cid", "--password", "correct-horse");
  expect(made.userId).toMatch(/^01[abc]u[0-9a-z]{2,}-/);
  await tricampus(fresh, ["send", "bob", "four", "--to", "cid"]);
  expect((await json(fresh, "sync", "cid")).messages).toMatchObject([{ text: "four" }]);
  // The queue's logs are new and empty, and the group goes on behind what it had worked off.
  const ann = ["user", "login", "ann", "--password", "correct-horse"];
  expect(await tricampus(fresh, ann)).toMatchObject({ code: 0, stderr: "" });
  await tricampus(fresh, ["sync", "ann"]);
  const five = await tricampus(fresh, ["send", "bob", "five", "--group", groupId]);
  expect(five.stdout).toMatch(/^Accepted as/);
  const news = async () => (await json(fresh, "sync", "ann")).messages;
  await expect.poll(news, { timeout: 15_000 }).toMatchObject([{ text: "five", sequence: 5 }]);
}, 120_000);

test("kv restore: refuses a folder that is not empty, other names, and damage, and leaves nothing", async () => {
  const backup = join(dir, "backup");
  const taken = await tricampus(platform.config.dataDir, ["kv", "restore", backup]);
  expect(taken).toMatchObject({ code: 2 });
  expect(taken.stderr).toMatch(/is not empty: a backup is restored into a new platform only/);
  const other = join(dir, "other");
  const file = join(dir, "names.json");
  writeFileSync(file, JSON.stringify({ campuses: ["x", "y", "z"] }));
  const renamed = await tricampus(other, ["kv", "restore", backup, "--config", file]);
  expect(renamed).toMatchObject({ code: 2 });
  expect(renamed.stderr).toMatch(/with campuses a, b, c: restore it under the same names/);
  const data = join(backup, "data-00001.kv");
  const whole = readFileSync(data);
  const broken = Buffer.from(whole);
  broken[Math.floor(whole.length / 2)]! ^= 1;
  writeFileSync(data, broken);
  const refused = await tricampus(other, ["kv", "restore", backup]);
  writeFileSync(data, whole);
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(refused.stderr).toMatch(/^tricampus: the backup is damaged: .*data-00001\.kv, group \d/);
  expect(readdirSync(dir)).not.toContain("other");
  expect(readdirSync(dir)).not.toContain("other.restoring");
  mkdirSync(`${other}.restoring`);
  const left = await tricampus(other, ["kv", "restore", backup]);
  expect(left.stderr).toMatch(/other\.restoring is left of a restore that did not end: remove it/);
}, 60_000);
