/** The agent between files of processes that run or died, and a centre that is a real server. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Centre, type ReportRequest } from "../../protos/gen/tricampus/monitor/v1/centre_codec.ts";
import { allowedCallers } from "../platform/allowed-callers.ts";
import { Client } from "../svrkit/client.ts";
import { silentLogger } from "../svrkit/log.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { PointsFile } from "../svrkit/monitors/points-file.ts";
import { Server } from "../svrkit/server.ts";
import { MonitorAgent } from "./agent.ts";
import { MINUTE_MS } from "./minute.ts";

const fsyncs = monitorId("kvsvr.fsyncs");
const behind = monitorId("kvsvr.behind");
const START = 1_700_000_040_000; // the begin of a minute
let folder: string;
let nowMs: number;
let reports: ReportRequest[];
let said: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tricampus-agent-"));
  nowMs = START;
  reports = [];
  said = [];
  monitor.set(fsyncs, 0);
  monitor.set(behind, 0);
});
afterEach(() => rmSync(folder, { recursive: true }));

const now = () => nowMs;
const fileOf = (process: string) => new PointsFile({ folder, process, now });
const agentWith = (report: (request: ReportRequest) => Promise<unknown>) =>
  new MonitorAgent({ campus: "a", folder, report, now, say: (text) => said.push(text) });
const take = async (request: ReportRequest) => {
  reports.push(request);
};
/** A second in which so much was added. */
function pass(file: PointsFile, added: number): void {
  monitor.add(fsyncs, added);
  monitor.set(behind, added);
  file.write();
  nowMs += 1_000;
}
const figuresOf = (id: number, report = reports.at(-1)!) =>
  report.minutes.map(({ process, seconds, monitors }) => {
    const found = monitors.find(({ number }) => number === id);
    return [process, seconds, found?.value, found?.max];
  });

test("agent: reports what was added in the minute and in its fullest second, and levels as they stood", async () => {
  const file = fileOf("a/kvsvr");
  const agent = agentWith(take);
  for (let second = 0; second < 120; second++) pass(file, second === 70 ? 50 : 2);
  nowMs += 3_000;
  await agent.look();
  expect(reports.map(({ minutes }) => minutes[0]!.minuteMs)).toEqual([START, START + MINUTE_MS]);
  expect(figuresOf(fsyncs, reports[0])).toEqual([["a/kvsvr", 60, 120, 2]]);
  expect(figuresOf(fsyncs)).toEqual([["a/kvsvr", 60, 168, 50]]);
  expect(figuresOf(behind)).toEqual([["a/kvsvr", 60, 2, 50]]);
  await agent.look(); // nothing is over that was not reported
  expect(reports).toHaveLength(2);
});

test("agent: a process killed with -9 is reported up to its last second, beside its successor", async () => {
  const table = new URL("../svrkit/monitors/", import.meta.url).href;
  const script = `
    const { monitor, monitorId } = await import("${table}monitor.ts");
    const { PointsFile } = await import("${table}points-file.ts");
    let at = ${START};
    const file = new PointsFile({ folder: "${folder}", process: "a/text", now: () => at });
    for (; at < ${START + 20_000}; at += 1000) {
      monitor.add(monitorId("kvsvr.fsyncs"), 3);
      file.write();
    }
    process.kill(process.pid, "SIGKILL");
  `;
  expect(() => execFileSync(process.execPath, ["--input-type=module", "-e", script])).toThrow();
  nowMs = START + 30_000;
  const next = fileOf("a/text");
  for (let second = 0; second < 30; second++) pass(next, 1);
  nowMs += 3_000;
  await agentWith(take).look();
  expect(figuresOf(fsyncs)).toEqual([
    ["a/text", 20, 60, 3],
    ["a/text", 30, 30, 1],
  ]);
});

test("agent: minutes wait for a centre that is away, at most an hour of them, and come in order", async () => {
  const file = fileOf("a/kvsvr");
  let isAway = true;
  const agent = agentWith(async (request) => {
    if (isAway) throw new Error("it is away");
    await take(request);
  });
  for (let minute = 0; minute < 70; minute++) {
    pass(file, 1);
    nowMs += MINUTE_MS - 1_000;
    nowMs += minute === 0 ? 3_000 : 0;
    await agent.look();
  }
  expect(said).toEqual(["the monitoring centre takes no reports: it is away"]);
  isAway = false;
  await agent.look();
  expect(reports).toHaveLength(60);
  const begins = reports.map(({ minutes }) => minutes[0]!.minuteMs);
  expect(begins).toEqual(begins.toSorted((a, b) => a - b));
  expect(said).toHaveLength(2);
});

test("agent: a minute that ends while reports are slow is reported once, and in its order", async () => {
  const file = fileOf("a/kvsvr");
  let answer = () => {};
  const agent = agentWith(async (request) => {
    await new Promise<void>((resolve) => {
      answer = resolve;
    });
    reports.push(request);
  });
  for (let second = 0; second < 60; second++) pass(file, 1);
  nowMs += 3_000;
  const first = agent.look();
  for (let second = 0; second < 60; second++) pass(file, 1);
  nowMs += 3_000;
  const looks = [first, agent.look()];
  const ended = Promise.all(looks).then(() => agent.look());
  for (let i = 0; i < 50; i++) {
    answer();
    await new Promise(setImmediate);
  }
  await ended;
  const minutes = reports.map((report) => report.minutes[0]!.minuteMs);
  expect(minutes).toEqual([START, START + MINUTE_MS]);
});

test("agent: files of processes that died long ago are removed when nobody needs them", async () => {
  fileOf("a/old").write();
  nowMs += 11 * MINUTE_MS;
  fileOf("a/new").write();
  await agentWith(take).look();
  expect(readdirSync(folder)).toHaveLength(1);
});

test("agent: the centre takes reports from agents alone", async () => {
  const server = new Server({ process: "a/monitor", campus: "a" }, silentLogger(), {
    allowed: allowedCallers,
  });
  server.add(Centre.report, async (request) => {
    await take(request);
    return {};
  });
  const port = await server.listen({ host: "127.0.0.1", port: 0 });
  const client = new Client({ process: "a/agent", campus: "a" });
  const address = [{ campus: "a", host: "127.0.0.1", port }];
  const calleeAs = (caller: string) => client.callee("monitor", address, { caller });
  pass(fileOf("a/kvsvr"), 5);
  nowMs += MINUTE_MS + 3_000;
  await agentWith((request) => calleeAs("agent").call(Centre.report, request)).look();
  expect(figuresOf(fsyncs)).toEqual([["a/kvsvr", 1, 5, 5]]);
  const minutes = { campus: "a", minutes: [] };
  const refused = calleeAs("text").call(Centre.report, minutes);
  await expect(refused).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  client.stop();
  await server.stop();
});

test("agent: a file that cannot be removed is no reason to end", async () => {
  pass(fileOf("a/gone"), 1);
  nowMs += 11 * MINUTE_MS;
  const path = join(folder, readdirSync(folder)[0]!);
  // When its age is looked at, nobody can remove it any more: a folder lies there.
  const report = take;
  let looks = 0;
  const replace = () => {
    looks += 1;
    if (looks === 2) {
      rmSync(path);
      mkdirSync(path);
    }
    return nowMs;
  };
  const agent = new MonitorAgent({ campus: "a", folder, report, now: replace, say: () => {} });
  await agent.look();
  expect(readdirSync(folder)).toHaveLength(1);
});
