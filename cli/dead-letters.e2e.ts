/** A platform whose integrator's server is not there at first: what is given up, and brought back by people. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findFreePort } from "../services/platform/free-ports.ts";
import { Platform } from "../services/platform/platform.ts";
import { bringUp } from "./commands/up.ts";
import { makePlatform, removePlatform, tricampus } from "./testing/own-platform.ts";

const HOST = "127.0.0.1";
const dir = mkdtempSync(join(tmpdir(), "tricampus-dead-letters-"));
const texts: string[] = [];
const server = createServer(async (request, response) => {
  const { events } = JSON.parse(await readText(request)) as { events: { text: string }[] };
  texts.push(...events.map(({ text }) => text));
  response.end();
});
let platform: Platform;
let port = 0;

beforeAll(async () => {
  port = await findFreePort(HOST);
  const secretFile = join(dir, "secret");
  writeFileSync(secretFile, "shared");
  const { config } = await makePlatform("compact");
  const events = { url: `http://${HOST}:${port}/`, secretFile, attempts: 1 };
  platform = new Platform({ ...config, options: { ...config.options, hooks: { events } } });
  await platform.start();
  await bringUp(platform);
}, 120_000);
afterAll(async () => {
  await removePlatform(platform);
  server.close();
  rmSync(dir, { recursive: true });
}, 60_000);

const run = (...args: string[]) => tricampus(platform.config.dataDir, args);
const jsonOf = async <T>(...args: string[]) =>
  JSON.parse((await run(...args, "--json")).stdout) as T;
const listed = () => jsonOf<{ letter: string; why: string }[]>("dead-letters", "list");

test("dead letters: listed with their reason, appended again when the server is there, or dropped", async () => {
  for (const name of ["ann", "bob"])
    await run("user", "register", name, "--password", "a password");
  for (const text of ["one", "two", "three"]) await run("send", "ann", "--to", "bob", text);
  await expect.poll(async () => (await listed()).length).toBe(3);
  const [first, second] = await listed();
  expect(first!.why).toContain("ECONNREFUSED");
  expect((await run("status")).stdout).toContain("takes nothing");
  await new Promise<void>((done) => server.listen(port, HOST, done));
  expect((await run("dead-letters", "retry", first!.letter)).stdout).toBe(
    "1 letter appended again.\n",
  );
  await expect.poll(() => texts).toEqual(["one"]);
  expect((await run("dead-letters", "drop", second!.letter)).code).toBe(0);
  expect((await run("dead-letters", "drop", second!.letter)).code).toBe(1);
  expect((await run("dead-letters", "retry")).code).toBe(2);
  expect(await jsonOf("dead-letters", "retry", "--all")).toEqual({ retry: 1 });
  await expect.poll(() => texts).toEqual(["one", "three"]);
  expect(await listed()).toEqual([]);
});
