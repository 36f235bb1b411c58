/**
 * The SDK's file for browsers in a real one, with its own IndexedDB and WebSocket: a page that is told, closed,
 * opened again and brought up to date, beside a device in Node on another campus.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { People, type Person } from "../../sdk/testing/people.ts";
import {
  startWholePlatform,
  type WholePlatform,
} from "../../services/platform/testing/whole-platform.ts";
import { Chromium } from "./testing/chromium.ts";

const dist = mkdtempSync(join(tmpdir(), "tricampus-browser-"));
let platform: WholePlatform;
let people: People;
let pages: Server;
let browser: Chromium;
let bob: Person;
let page = "";

beforeAll(async () => {
  execFileSync(process.execPath, [join(import.meta.dirname, "../../sdk/build.ts"), dist]);
  const script = readFileSync(join(dist, "browser.js"));
  pages = createServer(({ url }, response) => {
    const [type, body] =
      url === "/sdk.js" ? ["text/javascript", script] : ["text/html", "<title>page</title>"];
    response.writeHead(200, { "content-type": type }).end(body);
  });
  await new Promise<void>((done) => pages.listen(0, "127.0.0.1", done));
  page = `http://127.0.0.1:${(pages.address() as AddressInfo).port}/`;
  [platform, browser] = await Promise.all([startWholePlatform(), Chromium.start()]);
  people = new People(platform.endpoints);
  bob = await people.online("bob", { campus: "b" });
});
afterAll(async () => {
  await people.close();
  await browser.stop();
  await platform.stop();
  pages.close();
  rmSync(dist, { recursive: true });
});

/** A page with the SDK, ann's store, and a client that is not connected yet. */
async function openPage(): Promise<void> {
  await browser.open(page);
  await browser.run(`
    const { IndexedDbStore, TricampusClient } = await import("/sdk.js");
    globalThis.store = await IndexedDbStore.open("ann");
    globalThis.heard = [];
    globalThis.ann = new TricampusClient({
      endpoints: ${JSON.stringify(platform.endpoints)},
      device: "page", store,
      onMessage: ({ text }) => heard.push(text),
    });
  `);
}

const stored = () =>
  browser.run<string[]>(`
    const texts = [];
    for (const id of await store.conversations())
      texts.push(...(await store.messages(id)).map(({ text }) => text));
    return texts;
  `);

test("a page in a browser registers, sends, is told at once, and keeps what it has when it is closed", async () => {
  await openPage();
  const userId = await browser.run<string>(`
    const { userId } = await ann.register("ann", "correct-horse");
    await ann.connect();
    await ann.send({ userName: ${JSON.stringify(bob.name)} }, "from a page \\u{1f40b}");
    return userId;
  `);
  await expect.poll(() => bob.heard.map(({ text }) => text)).toEqual(["from a page \u{1f40b}"]);
  await bob.client.send({ userId }, "told while it is open");
  const both = ["from a page \u{1f40b}", "told while it is open"];
  await expect.poll(() => browser.run("return heard")).toEqual(both);
  await expect.poll(stored).toEqual(both);
  await browser.run("await store.flush()");

  await browser.open("about:blank");
  const missed = Array.from({ length: 300 }, (_, i) => `missed ${i}`);
  for (const text of missed) await bob.client.send({ userId }, text);

  await openPage();
  // Out of its own database: nobody was asked yet.
  expect(await stored()).toEqual(both);
  await browser.run(`
    await ann.login("ann", "correct-horse");
    await ann.connect();
    await ann.sync();
  `);
  expect(await stored()).toEqual([...both, ...missed]);
  expect(await browser.run("return ann.conversations.list().map(({ unread }) => unread)")).toEqual([
    301,
  ]);
  await browser.run("await ann.close(); await store.close();");
});

test("a page that is reloaded in the middle of sending has sent everything once", async () => {
  await openPage();
  await browser.run(`
    await ann.login("ann", "correct-horse");
    await ann.connect();
    for (let i = 0; i < 50; i++) ann.send({ userName: ${JSON.stringify(bob.name)} }, "once " + i).catch(() => {});
    await store.flush();
  `);
  await openPage();
  await browser.run(
    `await ann.login("ann", "correct-horse"); await ann.connect(); await ann.sync();`,
  );
  const once = Array.from({ length: 50 }, (_, i) => `once ${i}`).toSorted();
  const texts = () => bob.heard.map(({ text }) => text).filter((text) => text.startsWith("once"));
  await expect.poll(() => texts().toSorted()).toEqual(once);
});
