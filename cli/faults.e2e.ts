/**
 * The platform under faults, in both layouts, judged by the replay's ledger: whatever is killed, cut
 * or frozen, every message is there exactly once, in order, and no send fails (promises 1, 3, 4, 5).
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Platform } from "../services/platform/platform.ts";
import { signal } from "../services/platform/process-facts.ts";
import { SERVICES } from "../services/platform/services.ts";
import { readStatus } from "./commands/status.ts";
import type { ReplayOutcome } from "./replay/replay.ts";
import { type Step, stepsOf } from "./replay/steps.ts";
import { removePlatform, replayDemo, startPlatform } from "./testing/own-platform.ts";

/** Until all serve again after one was killed: of the split layout's many some are starting still. */
const BACK_MS = { compact: 10_000, split: 60_000 } as const;
const CLEAN = { missing: 0, duplicates: 0, outOfOrder: 0, altered: 0, foreign: 0, failedSends: 0 };

function expectClean({ findings, result }: ReplayOutcome): void {
  expect(findings).toEqual([]);
  expect(result).toMatchObject(CLEAN);
  expect(result.deliveries).toBeGreaterThan(result.messages);
}

/** kill -9 of one process after another; the supervisor brings each back. */
function killSteps(platform: Platform, names: readonly string[]): Step[] {
  const backMs = platform.config.layout === "compact" ? BACK_MS.compact : BACK_MS.split;
  return names.map((name, index) => ({
    at: (index + 1) / (names.length + 2),
    text: `${name} killed (-9)`,
    act: async () => {
      await platform.waitReady(backMs);
      const report = await platform.campus(name.split("/")[0]!)!.report();
      signal(report.processes.find((process) => process.name === name)!.pid, "SIGKILL");
    },
  }));
}

describe("compact layout", () => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await startPlatform("compact");
  }, 60_000);
  afterAll(() => removePlatform(platform), 30_000);

  test("faults: kill -9 of each process kind, one after another", async () => {
    const names = ["a/kvsvr", "b/access", "c/logic", "b/kvsvr", "a/logic", "c/access"];
    const steps = killSteps(platform, names);
    expectClean(await replayDemo(platform, { limit: 60, overSeconds: 8, steps }));
    await platform.waitReady(10_000);
    const { processes } = await readStatus(platform);
    const restarted = processes.filter((row) => row.restarts > 0).map((row) => row.process);
    expect(restarted.sort()).toEqual(names.toSorted());
  }, 60_000);

  test("faults: a campus killed, another cut off, the third frozen", async () => {
    const steps = [
      ...stepsOf({ kind: "kill", campus: "b", at: 0.1, backAt: 0.25 }, platform),
      ...stepsOf({ kind: "cut", campus: "c", at: 0.4, backAt: 0.6 }, platform),
      ...stepsOf({ kind: "freeze", campus: "a", at: 0.75, backAt: 0.95 }, platform),
    ];
    expectClean(await replayDemo(platform, { limit: 60, overSeconds: 12, steps }));
  }, 60_000);

  test("faults: a replay that is interrupted undoes what it has begun", async () => {
    for (const kind of ["kill", "cut", "freeze"] as const) {
      const interrupt = new AbortController();
      const steps = stepsOf({ kind, campus: "c", at: 0.1, backAt: 0.95 }, platform).map((step) => ({
        ...step,
        act: async () => {
          await step.act();
          interrupt.abort(new Error("interrupted"));
        },
      }));
      const settings = { limit: 40, overSeconds: 30, steps, signal: interrupt.signal };
      await expect(replayDemo(platform, settings)).rejects.toThrow("interrupted");
      await platform.waitReady(10_000);
    }
  }, 120_000);

  test("faults: kill -9 of everything, then up: what was acknowledged is there once", async () => {
    const everything: Step = {
      at: 0.5,
      text: "everything killed (-9)",
      act: async () => {
        await platform.kill();
        await platform.start();
        await platform.waitReady(30_000);
      },
    };
    const steps = [everything];
    const { result } = await replayDemo(platform, { limit: 40, steps });
    expect(result).toMatchObject({ ...CLEAN, failedSends: expect.any(Number) });
    expect(result.messages).toBeGreaterThan(40);
  }, 60_000);
});

describe("split layout", () => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await startPlatform("split");
  }, 180_000);
  afterAll(() => removePlatform(platform), 30_000);

  test("faults: a crashing service takes no other along, and the conversation goes on", async () => {
    const names = SERVICES.map((service, index) => `${"abc"[index % 3]}/${service}`);
    const before = pidsOf(await platform.reports());
    const steps = killSteps(platform, names);
    expectClean(await replayDemo(platform, { limit: 40, overSeconds: 15, steps }));
    await platform.waitReady(60_000);
    const after = pidsOf(await platform.reports());
    const changed = [...before].filter(([name, pid]) => after.get(name) !== pid);
    expect(changed.map(([name]) => name).sort()).toEqual(names.toSorted());
  }, 180_000);

  test("faults: two queue logs of one group killed at once", async () => {
    const steps = [
      ...killSteps(platform, ["a/queuelog-1", "b/queuelog-1"]).map((step) => ({
        ...step,
        at: 0.3,
      })),
      ...killSteps(platform, ["b/queuelog-2", "c/queuelog-2"]).map((step) => ({
        ...step,
        at: 0.6,
      })),
    ];
    expectClean(await replayDemo(platform, { limit: 40, overSeconds: 4, steps }));
  }, 60_000);
});

function pidsOf(reports: Awaited<ReturnType<Platform["reports"]>>): Map<string, number> {
  return new Map(reports.flatMap((report) => report.processes.map((p) => [p.name, p.pid])));
}
