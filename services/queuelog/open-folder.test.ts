import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLogger } from "../svrkit/log.ts";
import { checkQueueLogConfig } from "./config.ts";
import { leftovers, openFolder } from "./open-folder.ts";

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "open-folder-"));
});

afterEach(() => rmSync(dataDir, { recursive: true }));

const servers = { a: "nats://127.0.0.1:1", b: "nats://127.0.0.1:1" };

function open(engine: object, campus = "a", waitMs?: number) {
  const place = { dc: 1, campus, dataDir, log: silentLogger() };
  return openFolder(place, checkQueueLogConfig({ engine }, "queuelog-2"), waitMs);
}

test("a log's folder: files are the default, and nothing is lost", async () => {
  const { lost, silent, close } = await open({ kind: "embedded" });
  expect([lost, silent()]).toEqual([undefined, undefined]);
  await close();
});

test("a log's folder: another engine has its memory, so it begins nothing", async () => {
  writeFileSync(join(dataDir, "jetstream-stream"), "tricampus-1-a-queuelog-2-0badcafe");
  expect((await open({ kind: "embedded" })).lost).toMatch(
    /its memory is in the JetStream stream tricampus-1-a-queuelog-2-0badcafe.*queue rebuild/,
  );
  rmSync(join(dataDir, "jetstream-stream"));
  writeFileSync(join(dataDir, "disk-id"), "0123");
  expect((await open({ kind: "nats", servers })).lost).toMatch(/in the files here.*queue rebuild/);
});

test("a log's folder: options that name no server of the campus, or no NATS, are refused", async () => {
  await expect(open({ kind: "nats", servers }, "c")).rejects.toThrow("none of campus c");
  expect(() => open({ kind: "nats", servers: { a: "http://a" } })).toThrow("nats://host:port");
  const withSecret = { a: "nats://ann:secret@10.0.0.7:4222" };
  expect(() => open({ kind: "nats", servers: withSecret })).toThrow("secretsDir");
});

test("a log's folder: a server that does not come is waited for so long, and then said to be away", async () => {
  const begunMs = performance.now();
  await expect(open({ kind: "nats", servers }, "a", 300)).rejects.toThrow(
    /^NATS at nats:\/\/127\.0\.0\.1:1 could not be reached for 0\.3 s: .+/,
  );
  expect(performance.now() - begunMs).toBeGreaterThan(290);
});

test("a log's folder: streams that nobody reads are told from those of others that do", () => {
  const names = [
    "tricampus-1-a-queuelog-2-0badcafe",
    "tricampus-1-a-queuelog-1-11111111",
    "tricampus-17-a-queuelog-2-22222222",
  ];
  expect(leftovers(names, { dc: 1, prefix: "tricampus-1-a-queuelog-2-" })).toEqual({
    earlier: names.slice(0, 1),
    others: names.slice(2),
  });
});
