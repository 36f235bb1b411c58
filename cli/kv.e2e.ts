/** The operator's commands on the store, as a person types them, against a platform that runs. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Keyspace } from "../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { KvClient } from "../services/kvsvr/client.ts";
import type { Platform } from "../services/platform/platform.ts";
import { Inspector } from "./connect.ts";
import { removePlatform, startPlatform, tricampus } from "./testing/own-platform.ts";

let platform: Platform;
let inspector: Inspector;
let store: KvClient;
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-kv-cli-"));
  platform = await startPlatform("compact");
  inspector = new Inspector(platform);
  store = new KvClient(inspector.callee("kvsvr"));
}, 60_000);
afterAll(async () => {
  inspector?.stop();
  await removePlatform(platform);
  rmSync(dir, { recursive: true, force: true });
}, 30_000);

const kv = (...words: string[]) => tricampus(platform.config.dataDir, ["kv", ...words]);
const json = async (...words: string[]) => {
  const result = await kv(...words, "--json");
  expect(result.stderr).toBe("");
  return { code: result.code, ...JSON.parse(result.stdout) };
};

const table = { keyspace: Keyspace.CONTROL, key: Buffer.from("table") };
const row = (name: string, value: string) => ({
  row: Buffer.from(name),
  value: Buffer.from(value),
});
async function change(
  ...operations: ({ upsert: [string, string] } | { delete: string })[]
): Promise<void> {
  await store.change({
    key: table,
    change: {
      guards: [],
      operations: operations.map((operation) => ({
        operation:
          "delete" in operation
            ? { case: "delete", value: Buffer.from(operation.delete) }
            : { case: "upsert", value: row(...operation.upsert) },
      })),
    },
  });
}

test("kv: what is written is read, versions go on over deletion", async () => {
  expect(await kv("put", "control", "x", "one\ntwo")).toMatchObject({
    ...{ code: 0, stdout: "Written: version 1.\n", stderr: "" },
  });
  expect(await kv("get", "control", "x")).toMatchObject({ code: 0, stdout: "one\\x0atwo\n" });
  expect(await json("get", "control", "x")).toEqual({
    ...{ code: 0, found: true, version: 1, value: "one\ntwo" },
  });
  expect((await kv("delete", "control", "x")).stdout).toBe("Deleted: version 2.\n");
  expect(await kv("get", "control", "x")).toMatchObject({
    ...{
      code: 1,
      stdout: "",
      stderr: "tricampus: control/x is deleted, or was never written: version 2\n",
    },
  });
  expect(await json("get", "control", "x")).toEqual({ code: 1, found: false, version: 2 });
  expect((await kv("put", "control", "x", "three")).stdout).toBe("Written: version 3.\n");
}, 60_000);

test("kv cas: writes only at the version it names", async () => {
  const cas = (value: string, version: string) =>
    json("cas", "control", "y", value, "--version", version);
  expect(await cas("one", "0")).toEqual({ code: 0, applied: true, version: 1 });
  expect(await cas("late", "0")).toEqual({ code: 1, applied: false, version: 1 });
  expect(await cas("two", "1")).toEqual({ code: 0, applied: true, version: 2 });
  expect(await kv("cas", "control", "y", "late", "--version", "1")).toMatchObject({
    ...{ code: 1, stderr: "tricampus: control/y is at version 2, not 1: read it again\n" },
  });
  expect((await kv("get", "control", "y")).stdout).toBe("two\n");
}, 60_000);

test("kv: bytes go in and out by hex and by file", async () => {
  const bytes = Buffer.from([0, 255, 10, 0x80]);
  const [from, to] = [join(dir, "from"), join(dir, "to")];
  writeFileSync(from, bytes);
  await kv("put", "control", "00ff", "--hex", "--file", from);
  expect((await kv("get", "control", "00ff", "--hex")).stdout).toBe("00ff0a80\n");
  expect(await json("get", "control", "00ff", "--hex")).toMatchObject({ valueHex: "00ff0a80" });
  await kv("get", "control", "00ff", "--hex", "--file", to);
  expect(readFileSync(to)).toEqual(bytes);
}, 60_000);

test("kv scan: rows in order, a part of them, and what changed after a version", async () => {
  await change({ upsert: ["a", "1"] }, { upsert: ["b", "2"] }, { upsert: ["c", "3\u0000"] });
  await change({ delete: "b" }, { upsert: ["d", "4"] });
  expect((await kv("scan", "control", "table")).stdout).toBe(
    [
      "version  row  value",
      "1        a    1",
      "1        c    3\\x00",
      "2        d    4",
      "3 rows; the table is at version 2\n",
    ].join("\n"),
  );
  const part = await json("scan", "control", "table", "--from", "b", "--limit", "1");
  expect(part).toEqual({
    ...{ code: 0, version: 2, next: "--from d" },
    rows: [{ row: "c", version: 1, value: "3\u0000" }],
  });
  expect((await json("scan", "control", "table", "--to", "c")).rows).toHaveLength(1);
  const changes = await json("scan", "control", "table", "--changes-after", "1");
  expect(changes.rows).toEqual([
    { row: "b", version: 2, deleted: true },
    { row: "d", version: 2, value: "4" },
  ]);
  const first = await json("scan", "control", "table", "--changes-after", "0", "--limit", "1");
  expect(first).toMatchObject({ next: "--changes-after 1" });
  expect(first.rows).toHaveLength(2);
}, 60_000);

test("kv watch: prints what there is and every new version it sees", async () => {
  const written = await kv("put", "control", "seen", "one");
  expect(written.code).toBe(0);
  const watching = kv("watch", "control", "seen", "--for", "3", "--json");
  const rows = kv("watch", "control", "table", "--for", "3");
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await kv("put", "control", "seen", "two");
  await change({ upsert: ["watched", "new"] });
  const lines = (await watching).stdout.trim().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { version: 1, found: true, value: "one" },
    { version: 2, found: true, value: "two" },
  ]);
  expect((await rows).stdout).toMatch(/^\d+ {2}table\n\d+ {2}written {2}watched {2}new\n$/);
}, 60_000);

test("kv verify: the replicas are the same; one that is gone is named", async () => {
  const verdict = await json("verify");
  expect(verdict).toMatchObject({ code: 0, compared: ["a", "b", "c"], differences: 0, shown: [] });
  expect(verdict.keys).toBeGreaterThan(3);
  expect((await kv("verify")).stdout).toMatch(
    /^\d+ keys in \d+ slots .*compared: a, b, c\nlooked at again: \d+; differences: 0\n$/,
  );
  await platform.campus("c")!.kill();
  try {
    const gone = await kv("verify");
    expect(gone).toMatchObject({ code: 3, stderr: "tricampus: not compared: campus c\n" });
    expect(gone.stdout).toMatch(/campus c was not compared: .*\n.*compared: a, b\n/);
  } finally {
    await platform.campus("c")!.start();
    await platform.waitReady(30_000);
  }
}, 60_000);

test("kv: reads and writes go on with a campus gone", async () => {
  await platform.campus("b")!.kill();
  try {
    expect(await json("put", "control", "x", "four")).toMatchObject({ code: 0, applied: true });
    expect(await json("get", "control", "x")).toMatchObject({ value: "four" });
  } finally {
    await platform.campus("b")!.start();
    await platform.waitReady(30_000);
  }
}, 60_000);

test("kv: what a person got wrong is one line with a code", async () => {
  const cases: [words: string[], code: number, says: RegExp][] = [
    [["get", "nothing", "x"], 2, /no keyspace "nothing": there are account, /],
    [["get", "control", "zz", "--hex"], 2, /the key: "zz" is not hex/],
    [["get", "control", ""], 1, /a key of 0 bytes: 1 to 255/],
    [["get", "control", "never"], 1, /control\/never was never written/],
    [["get", "control", "table"], 1, /holds a table.*`tricampus kv scan`/],
    [["put", "control", "table", "x"], 1, /holds a table.*`tricampus kv scan`/],
    [["scan", "control", "x"], 1, /holds a value.*`tricampus kv get`/],
    [["put", "control", "x"], 2, /give the value, or --file/],
    [["put", "control", "x", "v", "--file", dir], 2, /give the value, or --file/],
    [["put", "control", "x", "--file", dir], 2, /--file: .* is no file/],
    [["cas", "control", "x", "v"], 2, /--version <n>/],
    [["cas", "control", "x", "v", "--version", "-1"], 2, /--version: "-1" is not a whole number/],
    [["scan", "control", "table", "--changes-after", "x"], 2, /--changes-after: "x" is not a/],
    [["scan", "control", "table", "--changes-after", "1", "--to", "x"], 2, /leave out --from/],
    [["watch", "control", "x", "--for", "soon"], 2, /--for "soon": say 30s, 10m or 2h/],
  ];
  for (const [words, code, says] of cases) {
    const result = await kv(...words);
    expect(result.stderr).toMatch(says);
    expect(result.stderr).toMatch(/^tricampus: [^\n]+\n$/);
    expect(result.code).toBe(code);
  }
}, 60_000);
