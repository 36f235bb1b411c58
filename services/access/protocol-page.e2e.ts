/** The client at the end of docs/protocol.md, as it stands there: a shell, curl and jq, against a whole platform. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TricampusClient } from "../../sdk/client.ts";
import { startWholePlatform, type WholePlatform } from "../platform/testing/whole-platform.ts";

const PAGE = join(import.meta.dirname, "../../docs/protocol.md");

let platform: WholePlatform;
const clients: TricampusClient[] = [];
let shell: ChildProcess | undefined;

beforeAll(async () => {
  platform = await startWholePlatform();
});
afterAll(async () => {
  if (shell?.pid !== undefined) process.kill(-shell.pid);
  await Promise.all(clients.map((client) => client.close()));
  await platform.stop();
});

async function registered(name: string, password: string): Promise<TricampusClient> {
  const endpoints = platform.endpoints.toReversed();
  const client = new TricampusClient({ endpoints, device: "desk" });
  clients.push(client);
  await client.register(name, password);
  return client;
}

test("protocol page: its client logs in, sends, and shows what comes, page after page", async () => {
  const [, script] = /```sh\n(# Over HTTP.*?)```/s.exec(readFileSync(PAGE, "utf8")) ?? [];
  const ann = await registered("ann", "correct-horse");
  const bob = await registered("bob", "battery-staple");
  await bob.connect();
  const url = platform.endpoints[0]!.url.replace(/^ws/, "http");
  const here = script!
    .replace("http://127.0.0.1:7100", url)
    .replace("sleep 20", "sleep 0.3")
    // More than one page of it.
    .replace('"limit":200', '"limit":20');
  for (let i = 0; i < 50; i++) await bob.send({ userId: ann.userId! }, `before ${i}`);
  let shown = "";
  shell = spawn("bash", ["-eu", "-c", here], {
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  shell.stdout!.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
  });
  const texts = () => [...shown.matchAll(/"text":"([^"]+)"/g)].map(([, text]) => text);
  const before = Array.from({ length: 50 }, (_, i) => `before ${i}`);
  await expect.poll(texts, { timeout: 30_000 }).toEqual([...before, "hello"]);
  const hello = async () => {
    await bob.sync();
    const [id] = await bob.store.conversations();
    return (await bob.store.messages(id!)).filter(({ text }) => text === "hello").length;
  };
  await expect.poll(hello).toBe(1);
  await bob.send({ userId: ann.userId! }, "and to you");
  await expect.poll(texts, { timeout: 30_000 }).toEqual([...before, "hello", "and to you"]);
}, 120_000);
