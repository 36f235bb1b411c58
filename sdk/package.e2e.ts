/** The package as it is built, and its examples: in processes of their own, against a whole platform. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  startWholePlatform,
  type WholePlatform,
} from "../services/platform/testing/whole-platform.ts";

const run = promisify(execFile);
const here = import.meta.dirname;
/** Inside, so that what the package is used with is found. */
const dist = mkdtempSync(join(tmpdir(), "tricampus-sdk-"));

let platform: WholePlatform;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  symlinkSync(join(here, "../node_modules"), join(dist, "node_modules"));
  await run(process.execPath, [join(here, "build.ts"), dist]);
  platform = await startWholePlatform();
  const list = platform.endpoints.map(({ campus, url }) => `${campus}=${url}`);
  env = { ...process.env, ENDPOINTS: list.join(",") };
}, 120_000);
afterAll(async () => {
  await platform.stop();
  rmSync(dist, { recursive: true });
});

async function outputOf(path: string): Promise<string[]> {
  const { stdout } = await run(process.execPath, [path], { env, timeout: 60_000 });
  return stdout.trimEnd().split("\n");
}

test("sdk examples: hello", async () => {
  expect(await outputOf(join(here, "examples/hello.ts"))).toEqual([
    "bob reads: hello from ann",
    ...["message 1 of their conversation", "unread: 1", "unread: 0"],
  ]);
}, 60_000);

test("sdk examples: group", async () => {
  expect(await outputOf(join(here, "examples/group.ts"))).toEqual([
    ...["dora reads: who has the keys?", "mentioned: true"],
  ]);
}, 60_000);

test("sdk readme: its examples are those that run", () => {
  const blocks = [...readFileSync(join(here, "README.md"), "utf8").matchAll(/```ts\n(.*?)```/gs)];
  const shown = blocks.map(([, text]) => text!.replace('"@tricampus/sdk"', '"../node.ts"'));
  const files = ["hello", "group"].map((name) =>
    readFileSync(join(here, `examples/${name}.ts`), "utf8"),
  );
  expect(shown).toEqual(files);
});

/** A page in a browser: no Buffer, and IndexedDB. */
const PAGE = `
import "fake-indexeddb/auto";
const endpoints = process.env.ENDPOINTS.split(",").map((part) => {
  const [campus, url] = part.split("=");
  return { campus, url };
});
delete globalThis.Buffer;
const { IndexedDbStore, TricampusClient } = await import("./browser.js");
const open = () => IndexedDbStore.open("eve");
const options = { endpoints, device: "page" };
let store = await open();
const eve = new TricampusClient({ ...options, store });
await eve.register("eve", "correct-horse");
await eve.connect();
await eve.send({ userName: "eve" }, "a note \\u{1f40b} to myself");
await eve.close();
await store.close();
store = await open();
const [id] = await store.conversations();
console.log((await store.messages(id)).map(({ text }) => text).join());
console.log(store.counts.messages, store.openSends().length, (await store.sends()).length);
process.exit(0);
`;

test("sdk package: the browser's file needs nothing of Node, and its store outlives the page", async () => {
  expect(readFileSync(join(dist, "browser.js"), "utf8")).not.toMatch(/from "node:/);
  writeFileSync(join(dist, "page.mjs"), PAGE);
  expect(await outputOf(join(dist, "page.mjs"))).toEqual(["a note \u{1f40b} to myself", "1 0 1"]);
}, 60_000);

test("sdk package: programs are checked against its declarations", async () => {
  const program = (line: string) => `
import { FileStore, TricampusClient } from "./sdk/node.js";
const client = new TricampusClient({ endpoints: [], device: "d", store: new FileStore("x") });
${line}
`;
  const check = async (line: string) => {
    writeFileSync(join(dist, "program.ts"), program(line));
    const flags = ["--noEmit", "--strict", "--module", "nodenext", "--skipLibCheck"];
    const args = [...flags, "--types", "node", "--lib", "esnext", "program.ts"];
    const tsc = join(here, "../node_modules/.bin/tsc");
    return run(tsc, args, { cwd: dist }).then(
      () => "",
      (error: { stdout: string }) => error.stdout,
    );
  };
  expect(await check("export const id: string | undefined = client.userId;")).toBe("");
  expect(await check("export const id: number = client.userId;")).toContain("TS2322");
}, 60_000);
