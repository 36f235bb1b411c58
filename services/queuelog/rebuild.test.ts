/** How a log is rebuilt, step by step, beside a writer that opens a stream meanwhile. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type {
  FenceRequest,
  ListStandingsRequest,
  LogReadRequest,
} from "../../protos/gen/tricampus/queue/v1/log_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { silentLogger } from "../svrkit/log.ts";
import type { Method } from "../svrkit/method.ts";
import { beginRebuild, LOG_REBUILD_FILE, Rebuild, type RebuildParts } from "./rebuild.ts";
import { EmbeddedLog } from "./storage/embedded.ts";
import { entry, epoch, texts } from "./storage/engine.suite.ts";
import { NodeFolder } from "./storage/files.ts";

let root: string;
let logs: EmbeddedLog[];
/** At which log the stream was fenced, in order. */
let fences: number[];

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "tricampus-rebuild-"));
  logs = await Promise.all(["0", "1", "2"].map((name) => open(name)));
  fences = [];
});
afterEach(async () => {
  for (const log of logs) await log.close();
  rmSync(root, { recursive: true });
});

function open(name: string): Promise<EmbeddedLog> {
  return EmbeddedLog.open({
    ...{ folder: new NodeFolder(join(root, name)), segmentBytes: 1024 * 1024, cacheBytesMax: 0 },
    ...{ nowMs: monotonicMs, fatal: () => {} },
  });
}

/** Calls reach the engines; `before` comes in front of each fence. */
function callees(before: (request: FenceRequest, index: number) => Promise<unknown>) {
  const callOne = async (index: number, method: Method<unknown, unknown>, request: unknown) => {
    const log = logs[index]!;
    const { name } = method;
    if (name.endsWith("/Admit")) return {};
    if (name.endsWith("/ListStandings"))
      return log.standings((request as ListStandingsRequest).after);
    if (name.endsWith("/Read")) {
      const { stream, after } = request as LogReadRequest;
      return log.read(stream, after);
    }
    await before(request as FenceRequest, index);
    fences.push(index);
    const { stream, epoch: wanted } = request as FenceRequest;
    return log.fence(stream, wanted!);
  };
  return { callOne } as unknown as RebuildParts["logs"];
}

async function rebuild(before: Parameters<typeof callees>[0]): Promise<string | undefined> {
  const dir = join(root, "0");
  writeFileSync(join(dir, LOG_REBUILD_FILE), "new-disk");
  const diskId = (await beginRebuild(dir))!;
  return new Rebuild({
    ...{ dir, group: 1, campus: "a", diskId, others: [1, 2], engine: logs[0]! },
    ...{ logs: callees(before), log: silentLogger() },
  }).run();
}

test("rebuild: a writer that opens a stream meanwhile costs that stream a round, and nobody else", async () => {
  const appending = { epoch: epoch(1), settledThrough: 0 };
  await logs[1]!.append({ ...appending, stream: "s", entries: [entry(1)] });
  await logs[2]!.append({ ...appending, stream: "s", entries: [entry(1), entry(2)] });
  let isFirst = true;
  const opened = await rebuild(async ({ stream, epoch: wanted }, index) => {
    if (index !== 2 || !isFirst) return;
    isFirst = false;
    await logs[2]!.fence(stream, epoch(wanted!.round + 1));
  });
  expect(opened).toBe("new-disk");
  expect(fences).toEqual([1, 2, 2]);
  const { entries } = await logs[0]!.read("s", 0);
  expect(texts(entries)).toEqual(["1@1: entry 1", "2@1: entry 2"]);
  expect(existsSync(join(root, "0", LOG_REBUILD_FILE))).toBe(false);
});

test("rebuild: what is promised of streams that nobody knows is promised after a restart, too", async () => {
  await logs[1]!.fence("s", epoch(5));
  await rebuild(async () => {});
  await logs[0]!.close();
  logs[0] = await open("0");
  expect(await logs[0].fence("unknown", epoch(6))).toMatchObject({ granted: false });
});
