/** A platform whose integrator's server is not there for long: what is given up, and brought back by people. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findFreePort } from "../services/platform/free-ports.ts";
import { clientEndpoints } from "../services/platform/layout.ts";
import { Platform } from "../services/platform/platform.ts";
import { bringUp } from "./commands/up.ts";
import { makePlatform, removePlatform, tricampus } from "./testing/own-platform.ts";

const HOST = "127.0.0.1";
const dir = mkdtempSync(join(tmpdir(), "tricampus-dead-letters-"));
/** More than are read at once. */
const LETTERS = 230;
const SENDS_IN_ONE = 50;
const texts: string[] = [];
let isRefusing = false;
const server = createServer(async (request, response) => {
  const { events } = JSON.parse(await readText(request)) as { events: { text: string }[] };
  if (!isRefusing) texts.push(...events.map(({ text }) => text));
  response.writeHead(isRefusing ? 422 : 200).end();
});
let platform: Platform;
let port = 0;

beforeAll(async () => {
  port = await findFreePort(HOST);
  const secretFile = join(dir, "secret");
  writeFileSync(secretFile, "shared");
  const { config } = await makePlatform("compact");
  const events = { url: `http://${HOST}:${port}/`, secretFile, pauseFirstMs: 20, waitMaxMs: 500 };
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
const listed = async (...args: string[]) =>
  (await jsonOf<{ letters: { letter: string; why: string }[] }>("dead-letters", "list", ...args))
    .letters;

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

test("dead letters: all of them are brought back, though they are many pages", async () => {
  texts.length = 0;
  isRefusing = true;
  const sent = Array.from({ length: LETTERS }, (_, i) => `message ${i}`);
  const { ticket } = await post("Account/Login", {
    ...{ name: "ann", password: "a password", device: "test" },
  });
  const key = Buffer.from(String(ticket), "base64").toString("base64url");
  for (let left = sent; left.length > 0; ) {
    const some = left.slice(0, SENDS_IN_ONE);
    const sends = some.map((text) => {
      return { clientMessageId: text.replace(" ", "-"), userName: "bob", text };
    });
    const reply = await post("Text/SendMany", { sends }, key);
    expect(reply).not.toHaveProperty("code");
    // One after the other to one recipient: the last of them may be too late, and are sent again.
    const isTaken = (index: number) =>
      (reply["outcomes"] as { reply?: object }[])[index]!.reply !== undefined;
    left = [...left.slice(some.length), ...some.filter((_, index) => !isTaken(index))];
  }
  const count = async () => (await listed("--limit", "1000")).length;
  await expect.poll(count, { timeout: 120_000 }).toBe(LETTERS);
  expect((await listed()).length).toBe(50);
  isRefusing = false;
  expect(await jsonOf("dead-letters", "retry", "--all")).toEqual({ retry: LETTERS });
  await expect.poll(() => new Set(texts).size, { timeout: 120_000 }).toBe(LETTERS);
  expect(await listed()).toEqual([]);
});

async function post(method: string, body: object, key?: string): Promise<Record<string, unknown>> {
  const { host, port: at } = clientEndpoints(platform.config)[0]!;
  const headers: Record<string, string> =
    key === undefined ? {} : { authorization: `Bearer ${key}` };
  const init = { method: "POST", body: JSON.stringify(body), headers };
  const response = await fetch(`http://${host}:${at}/v1/${method}`, init);
  return (await response.json()) as Record<string, unknown>;
}
