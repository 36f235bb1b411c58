import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { askCampus, openControl } from "./control.ts";
import type { CampusState } from "./supervisor.ts";

const state: CampusState = { campus: "a", pid: 7, startedAtMs: 1, cut: false, processes: [] };
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-control-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("control: a command is carried out and answered", async () => {
  const path = join(dir, "s");
  const heard: string[] = [];
  const server = await openControl(path, async (command) => {
    heard.push(command);
    return { ...state, cut: command === "cut" };
  });
  expect(await askCampus(path, "cut", 1_000)).toMatchObject({ campus: "a", cut: true });
  expect(heard).toEqual(["cut"]);
  server?.close();
});

test("control: a failure comes back as the error's words", async () => {
  const path = join(dir, "s");
  const server = await openControl(path, () => Promise.reject(new Error("cannot be done now")));
  await expect(askCampus(path, "join", 1_000)).rejects.toThrow("cannot be done now");
  await expect(askCampus(path, "dance" as "join", 1_000)).rejects.toThrow('"dance" is none of');
  server?.close();
});

test("control: only one supervisor has the door; a dead one's socket is taken over", async () => {
  const path = join(dir, "s");
  const first = await openControl(path, async () => state);
  expect(await openControl(path, async () => state)).toBeUndefined();
  await new Promise((resolve) => first?.close(resolve));

  const killed = createServer();
  await new Promise<void>((resolve) => killed.listen(path, resolve));
  // As after kill -9: nobody listens, the file is still there.
  renameSync(path, `${path}.kept`);
  await new Promise((resolve) => killed.close(resolve));
  renameSync(`${path}.kept`, path);
  const second = await openControl(path, async () => state);
  expect(second).toBeDefined();
  second?.close();
});

test("control: silence ends in an error, not in a wait", async () => {
  const path = join(dir, "s");
  const server = createServer(() => {});
  await new Promise<void>((resolve) => server.listen(path, resolve));
  await expect(askCampus(path, "status", 50)).rejects.toThrow("no answer to");
  server.close();
});
