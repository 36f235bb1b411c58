/** What people see of a real platform: top, traces, metrics, and monitors that outlive their process. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { WriterMinute } from "../protos/gen/tricampus/monitor/v1/centre_codec.ts";
import { People } from "../sdk/testing/people.ts";
import { MonitorAgent } from "../services/monitor/agent.ts";
import { MINUTE_MS } from "../services/monitor/minute.ts";
import { planLayout } from "../services/platform/layout.ts";
import { paths } from "../services/platform/paths.ts";
import type { Platform } from "../services/platform/platform.ts";
import { monitorId } from "../services/svrkit/monitors/monitor.ts";
import type { Top } from "./output/top.ts";
import type { PlacedSpan } from "./output/trace.ts";
import { endpointsOf, removePlatform, startPlatform, tricampus } from "./testing/own-platform.ts";

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform("compact");
}, 120_000);
afterAll(() => removePlatform(platform), 60_000);

const run = async (...args: string[]) => {
  const { code, stdout, stderr } = await tricampus(platform.config.dataDir, args);
  if (code !== 0) throw new Error(`${args.join(" ")}: ${stderr}`);
  return stdout;
};
const jsonOf = async <T>(...args: string[]) => JSON.parse(await run(...args, "--json")) as T;

test("sight: a message to a group is one trace, from its sender through the queue to who is online", async () => {
  await run("user", "register", "ann", "--password", "a password");
  const people = new People(endpointsOf(platform));
  const bob = await people.online("bob", { campus: "c" });
  const group = await jsonOf<{ groupId: string }>("group", "create", "ann", "lunch", bob.name);
  const sent = await jsonOf<{ messageId: string }>(
    "send",
    "ann",
    "hi",
    "--group",
    group.groupId,
    "--trace",
  );
  const names = async () => {
    const { spans } = await jsonOf<{ spans: PlacedSpan[] }>("trace", sent.messageId);
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
    return spans.map(({ name }) => name);
  };
  await expect
    .poll(names)
    .toEqual(
      expect.arrayContaining([
        ...[
          "Text/Send",
          "InboxData/Commit",
          "Queue/Append",
          "Log/Append",
          "fanout",
          "InboxData/Deliver",
          "Kv/Change",
          "Replica/Vote",
          "Push/Push",
        ],
      ]),
    );
  const untraced = await jsonOf<{ messageId: string }>(
    "send",
    "ann",
    "hi",
    "--group",
    group.groupId,
  );
  const { code } = await tricampus(platform.config.dataDir, ["trace", untraced.messageId]);
  expect(code).toBe(1);
  await people.close();
});

test("sight: top says what processes and services do", async () => {
  const top = await jsonOf<Top>("top", "--once");
  expect(top.processes).toHaveLength(9);
  expect(top.services.map(({ service }) => service)).toContain("Kv");
  const kv = top.services.filter(({ service }) => service === "Kv");
  expect(kv.every(({ callsPerSecond, p99Ms }) => callsPerSecond > 0 && p99Ms > 0)).toBe(true);
});

test("sight: every process answers Prometheus", async () => {
  for (const { name, healthPort } of planLayout(platform.config).processes) {
    const response = await fetch(`http://127.0.0.1:${healthPort}/metrics`);
    const text = await response.text();
    expect(response.headers.get("content-type")).toContain("version=0.0.4");
    expect(text).toContain(`process="${name}"`);
    expect(text).toMatch(/tricampus_process_memory_bytes\{id="3",.*\} \d{6,}/);
  }
});

test("sight: the points of a process that was killed with -9 are reported", async () => {
  const folder = paths.points(platform.config.dataDir, "b");
  const before = Date.now();
  await platform.campus("b")!.kill();
  const minutes: WriterMinute[] = [];
  const agent = new MonitorAgent({
    ...{ campus: "b", folder, say: () => {} },
    // The minute of the kill is over for this agent already.
    now: () => before + 2 * MINUTE_MS,
    report: async (request) => minutes.push(...request.minutes),
  });
  await agent.look();
  const last = minutes.filter(({ process }) => process === "b/kvsvr").at(-1)!;
  expect(last.minuteMs).toBeGreaterThan(before - 2 * MINUTE_MS);
  const sum = (number: number) =>
    minutes
      .flatMap(({ monitors }) => monitors.filter((m) => m.number === number))
      .reduce((all, { value }) => all + value, 0);
  expect(sum(monitorId("kvsvr.fsyncs"))).toBeGreaterThan(0);
  expect(sum(monitorId("svrkit.calls_served"))).toBeGreaterThan(0);
  await platform.campus("b")!.start();
  await platform.waitReady(60_000);
}, 120_000);
