/** The command line as people use it: a platform from `up` to `clean`. */
import { rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TricampusClient } from "../sdk/client.ts";
import { clientEndpoints } from "../services/platform/layout.ts";
import { Platform } from "../services/platform/platform.ts";
import {
  CHEAP_PASSWORDS,
  makePlatform,
  removePlatform,
  tricampus,
} from "./testing/own-platform.ts";

async function registerElsewhere({ config }: Platform): Promise<[name: string, userId: string]> {
  const endpoints = clientEndpoints(config).map(({ campus, host, port }) => ({
    ...{ campus, url: `ws://${host}:${port}` },
  }));
  const client = new TricampusClient({ endpoints, device: "phone" });
  const { userId } = await client.register("cid", "correct-horse");
  await client.close();
  return ["cid", userId];
}

let platform: Platform;
const run = (...words: string[]) => tricampus(platform.config.dataDir, words);
const json = async (...words: string[]) => {
  const { stdout, stderr } = await run(...words, "--json");
  expect(stderr).toBe("");
  return JSON.parse(stdout);
};
beforeAll(async () => {
  platform = await makePlatform("compact");
  const { dataDir, basePort } = platform.config;
  const file = `${dataDir}.json`;
  writeFileSync(file, JSON.stringify({ basePort, options: CHEAP_PASSWORDS }));
  const up = await tricampus(dataDir, ["up", "--config", file]);
  rmSync(file);
  expect(up).toMatchObject({ code: 0, stderr: "" });
  expect(up.stdout).toContain("Tricampus is up: started campus a, b, c");
  expect(up.stdout).toContain(`ws://127.0.0.1:${basePort}`);
}, 60_000);
afterAll(() => removePlatform(platform), 30_000);

test("up again says that it is running already, and changes nothing while it does", async () => {
  expect((await run("up")).stdout).toContain("is running already");
  const other = await run("up", "--layout", "split");
  expect(other).toMatchObject({ code: 2 });
  expect(other.stderr).toMatch(/layout: the platform is running with "compact"/);
}, 30_000);

test("status: every process, and who is there", async () => {
  const status = await json("status");
  expect(status.processes.map((row: { process: string }) => row.process)).toEqual(
    ["a", "b", "c"].flatMap((c) => [`${c}/access`, `${c}/kvsvr`, `${c}/logic`]),
  );
  expect(status.processes.every((row: { health: string }) => row.health === "ok")).toBe(true);
  expect(status.users).toEqual({ registered: 0, online: 0 });
  expect((await run("status")).stdout).toMatch(/^campus +process +pid +health +behind +fsyncs/);
}, 30_000);

test("users talk: register, send, group, chat, sync", async () => {
  for (const name of ["ann", "bob"]) {
    const words = ["user", "register", name];
    const made = await tricampus(platform.config.dataDir, words, { input: "correct-horse\n" });
    expect(made).toMatchObject({ code: 0, stderr: "" });
  }
  expect(statSync(join(platform.config.dataDir, "cli", "ann.login.json")).mode & 0o077).toBe(0);
  expect((await run("send", "ann", "hello", "you", "--to", "bob")).stdout).toMatch(/^Accepted as/);
  expect((await json("status")).users.registered).toBe(2);
  const { groupId } = await json("group", "create", "ann", "the two of us", "bob");
  const { members } = await json("group", "members", "bob", groupId);
  expect(members.map(({ role }: { role: string }) => role)).toEqual(["owner", "member"]);
  const info = await json("group", "info", "bob", groupId);
  expect(info).toMatchObject({ joinPolicy: "open", own: { role: "member" } });
  expect(await json("api-key", "list")).toEqual({ keys: [] });
  // Registered, and never logged in on this machine.
  const [name, userId] = await registerElsewhere(platform);
  const other = await json("group", "create", "ann", "with others", name, "BOB", userId);
  expect((await json("group", "members", "ann", other.groupId)).members).toHaveLength(3);
  expect((await run("send", "ann", "hi", "--to", name)).stdout).toMatch(/^Accepted as/);
  const typed = "one\n/to nobody\ntwo\n";
  const chat = await tricampus(platform.config.dataDir, ["chat", "bob", "--group", groupId], {
    input: typed,
  });
  expect(chat.stdout).toContain("Not sent: ");
  const { messages } = await json("sync", "ann");
  const texts = messages.map((message: { text: string }) => message.text).filter(Boolean);
  expect(texts).toEqual(["hello you", "hi", "one"]);
  expect((await run("sync", "ann")).stdout).toBe("Nothing new.\n");
  const audited = await json("audit", "ann", userId);
  expect(audited).toMatchObject({ users: 2, missing: 0 });
}, 60_000);

test("what a person got wrong is one line with a code", async () => {
  const cases: [words: string[], says: RegExp][] = [
    [["send", "cy", "hi", "--to", "bob"], /cy is not logged in here: run `tricampus user reg/],
    [["send", "ann", "hi", "--to", "nobody"], /nobody is registered as "nobody": check the name/],
    [["chat", "ann", "--to", "nobody"], /nobody is registered as "nobody"/],
    [["group", "create", "ann", "title", "bob", "nobody"], /nobody is registered as "nobody"/],
    [["send", "ann", "hi", "--to", "bad name"], /name: 1-64 characters.*INVALID_ARGUMENT/],
    [["user", "register", "ann", "--password", "another-one"], /ALREADY_EXISTS/],
    [["user", "login", "ann", "--password", "another-one"], /UNAUTHENTICATED|PERMISSION_DENIED/],
    [["user", "register", "bad name", "--password", "correct-horse"], /INVALID_ARGUMENT/],
    [["group", "members", "ann", "01gx-0000000000000000000000000"], /NOT_FOUND|PERMISSION/],
    [["campus", "start", "b"], /campus b is running: nothing to start/],
    [["campus", "thaw", "d"], /there is no campus "d": there are a, b, c/],
    [["campus", "block", "d", "--for", "1m", "--why", "x"], /there is no campus "d": there are a/],
    [["campus", "block", "b", "--why", "x"], /--for is missing: say 30s, 10m or 2h/],
    [
      ["campus", "block", "b", "--for", "2d", "--why", "x"],
      /--for "2d" is too long: .* at most 24h/,
    ],
    [["campus", "block", "b", "--for", "1m"], /--why is missing: say it in 1-200/],
    [["campus", "unblock", "b"], /b is not blocked: nothing is/],
    [["audit", "nosuch"], /there is no user "nosuch"/],
    [["audit", "--users", "0"], /--users: at least 1/],
    [["clean"], /is running: run `tricampus down` first/],
  ];
  for (const [words, says] of cases) {
    const result = await run(...words);
    expect(result.stderr).toMatch(says);
    expect(result.stderr).toMatch(/^tricampus: [^\n]+\n$/);
    expect(result.code).toBeGreaterThan(0);
  }
}, 60_000);

test("campus: every way to go, shown in status, and back", async () => {
  // Also when one does not serve: then with exit code 3 and one line of what to do.
  const stateOf = async () => {
    const { code, stdout, stderr } = await run("status", "--json");
    const { state } = JSON.parse(stdout).campuses.find((c: { campus: string }) => c.campus === "b");
    expect(code).toBe(state === "running" ? 0 : 3);
    expect(stderr).toMatch(state === "running" ? /^$/ : /^tricampus: campus b is .* run `tric/);
    return state;
  };
  for (const [go, state, back] of [
    ["kill", "down", "start"],
    ["cut", "cut", "join"],
    ["freeze", "frozen", "thaw"],
  ] as const) {
    expect(await json("campus", go, "b")).toEqual({ campus: "b", done: go });
    expect(await stateOf()).toBe(state);
    expect((await run("send", "ann", go, "--to", "bob")).stdout).toMatch(/^Accepted as/);
    expect(await json("campus", back, "b")).toEqual({ campus: "b", done: back });
    expect(await stateOf()).toBe("running");
  }
}, 60_000);

test("down keeps data, up finds it, clean removes it", async () => {
  expect((await run("down")).stdout).toContain("Stopped campus a, b, c; data stays.");
  expect(await run("status")).toMatchObject({ code: 3, stdout: "" });
  const up = await run("up");
  expect(up.stderr).toBe("");
  expect(up.stdout).toContain("Tricampus is up");
  expect((await run("send", "ann", "still", "here", "--to", "bob")).stdout).toMatch(/^Accepted/);
  await run("down");
  expect((await run("clean")).stdout).toBe(`Removed ${platform.config.dataDir}.\n`);
  expect(Platform.of(platform.config.dataDir)).toBeUndefined();
}, 60_000);
