/** When a drill stops and what it is worth, in tables of what was seen. */
import { describe, expect, test } from "vitest";
import { evidenceSchema } from "../evidence-file.ts";
import type { Evidence, Sample } from "./evidence.ts";
import { preChecks } from "./pre-checks.ts";
import { reportOf } from "./report.ts";
import { Seen } from "./seen.ts";
import { judge } from "./verdict.ts";
import { allowedFailures, breachIn } from "./watch.ts";

const CAMPUSES = ["a", "b", "c"];
const NAMES = ["access", "kvsvr"];
const PROCESSES = CAMPUSES.flatMap((campus) =>
  NAMES.map((name) => ({ name: `${campus}/${name}`, campus, services: [name] })),
);

const BLOCKED = 10_000;
const UNBLOCKED = 40_000;
const END = 50_000;

/** What a process says at a time; a drill in which all goes well unless changed. */
type Says = (process: string, atMs: number) => Partial<Sample> | undefined;

function isBlocked(atMs: number): boolean {
  return atMs > BLOCKED + 500 && atMs <= UNBLOCKED;
}

/** Ten calls and requests a second each; campus b has none while it is blocked. */
function samples(says: Says, untilMs = END): Sample[] {
  const counts = new Map(PROCESSES.map(({ name }) => [name, 0]));
  const found: Sample[] = [];
  for (let atMs = 0; atMs <= untilMs; atMs += 500) {
    for (const { name, campus } of PROCESSES) {
      if (campus !== "b" || !isBlocked(atMs)) counts.set(name, counts.get(name)! + 5);
      const count = counts.get(name)!;
      const requests = name.endsWith("access") ? count : 0;
      const base = { process: name, atMs, uptimeMs: 60_000 + atMs, busyMs: atMs * 0.3 };
      const said = says(name, atMs);
      if (said === undefined) continue;
      found.push({ ...base, requests, failures: 0, calls: count, unready: "", ...said });
    }
  }
  return found;
}

function evidence(says: Says = () => ({}), changes: Partial<Evidence> = {}): Evidence {
  return {
    format: 1,
    campus: "b",
    service: "",
    who: "ann",
    why: "a drill",
    startedAt: "2026-11-27T12:00:00.000Z",
    campuses: CAMPUSES,
    processes: PROCESSES,
    forMs: UNBLOCKED - BLOCKED,
    busyPercentMax: 90,
    checks: [{ name: "nothing is blocked", ok: true, found: "nothing" }],
    blockedAtMs: BLOCKED,
    unblockedAtMs: UNBLOCKED,
    endedAtMs: END,
    samples: samples(says),
    ...changes,
  };
}

/** Rises by so many a second from a time on. */
const rising = (fromMs: number, perSecond: number) => (atMs: number) =>
  Math.max(0, ((atMs - fromMs) / 1_000) * perSecond);

describe("verdict", () => {
  test("Passed: the load moved and came back, nothing failed", () => {
    const { verdict, figures } = judge(evidence());
    expect(verdict).toBe("Passed");
    expect(figures.before.sharePercent).toBeCloseTo(33.3, 0);
    expect(figures.during).toMatchObject({ failures: 0, sharePercent: 0 });
    expect(figures.lastCallMs).toBe(500);
  });

  const verdicts: [what: string, verdict: string, says: Says, changes?: Partial<Evidence>][] = [
    [
      "requests fail during the block",
      "Failed",
      (process, atMs) => ({ failures: process === "a/access" ? rising(20_000, 1)(atMs) : 0 }),
    ],
    [
      "requests fail after the block",
      "Failed",
      (process, atMs) => ({ failures: process === "a/access" ? rising(45_000, 1)(atMs) : 0 }),
    ],
    [
      "as many fail as before",
      "Passed",
      (process, atMs) => ({ failures: process === "a/access" ? rising(0, 1)(atMs) : 0 }),
    ],
    [
      "a process that starts anew counts from its own beginning",
      "Passed",
      (process, atMs) =>
        process === "c/access" && atMs > 20_000 ? { uptimeMs: atMs - 20_000, requests: 1 } : {},
    ],
    [
      "calls still go to the campus",
      "Failed",
      (process, atMs) => (process === "b/kvsvr" ? { calls: atMs / 100 } : {}),
    ],
    [
      "no call comes back",
      "Failed",
      (process, atMs) => (process.startsWith("b/") && atMs > UNBLOCKED ? { calls: 110 } : {}),
    ],
    ["nobody asks for anything", "Inconclusive", () => ({ requests: 0, calls: 0 })],
    [
      "nothing was routed there before",
      "Inconclusive",
      (process) => (process.startsWith("b/") ? { calls: 0 } : {}),
    ],
    [
      "a check does not hold",
      "Refused",
      () => ({}),
      { checks: [{ name: "nothing is blocked", ok: false, found: "c" }] },
    ],
    ["the block could not be ended", "Failed", () => ({}), { unblockFailure: "nobody answers" }],
    ...(
      [
        ["quorum", "Failed"],
        ["capacity", "Failed"],
        ["signal", "Inconclusive"],
        ["person", "Aborted"],
        ["unblocked", "Aborted"],
      ] as const
    ).map(
      ([kind, verdict]) =>
        [
          `stopped: ${kind}`,
          verdict,
          () => ({}),
          { stop: { kind, text: "x", seenAtMs: 20_000 } },
        ] as [string, string, Says, Partial<Evidence>],
    ),
  ];
  test.each(verdicts)("%s: %s", (_, verdict, says, changes) => {
    expect(judge(evidence(says, changes)).verdict).toBe(verdict);
  });

  test("it is made again from the file, word for word, and the report says it", () => {
    const seen = evidence(() => ({}), { unblockFailure: "nobody answers" });
    const again = evidenceSchema.parse(JSON.parse(JSON.stringify(seen)));
    expect(judge(again)).toEqual(judge(seen));
    const report = reportOf(again, judge(again));
    expect(report).toContain("# Drill of campus b: Failed");
    expect(report).toContain("ended by itself; it could not be ended: nobody answers |");
    expect(report).toContain("| before | 10.0 s |");
    expect(report).toContain("- [x] nothing is blocked: nothing");
  });
});

describe("stop", () => {
  const stopAt = (says: Says, nowMs: number) => {
    const seen = new Seen();
    seen.blocked(BLOCKED);
    for (const sample of samples(says, nowMs)) seen.add(sample);
    return breachIn({ ...evidence(), seen }, nowMs)?.kind;
  };
  test("none while all goes well", () => {
    for (let nowMs = BLOCKED; nowMs <= UNBLOCKED; nowMs += 5_000)
      expect(stopAt(() => ({}), nowMs)).toBeUndefined();
  });
  const stops: [what: string, kind: string, says: Says][] = [
    [
      "a request fails",
      "failures",
      (process, atMs) => ({ failures: process === "a/access" && atMs > 20_000 ? 1 : 0 }),
    ],
    [
      "more fail than before",
      "failures",
      (process, atMs) => ({
        failures: process === "a/access" ? rising(0, 1)(atMs) + rising(BLOCKED, 2)(atMs) : 0,
      }),
    ],
    [
      "a request fails, of a process that has started anew",
      "failures",
      (process, atMs) =>
        process === "a/access" && atMs > 20_000 ? { uptimeMs: atMs - 20_000, failures: 1 } : {},
    ],
    [
      "a replica that is needed catches up",
      "quorum",
      (process, atMs) =>
        process === "c/kvsvr" && atMs > 20_000 ? { unready: "it is behind" } : {},
    ],
    [
      "a replica that is needed is silent",
      "quorum",
      (process, atMs) => (process === "c/kvsvr" && atMs > 20_000 ? undefined : {}),
    ],
    [
      "another process is silent",
      "signal",
      (process, atMs) => (process === "c/access" && atMs > 20_000 ? undefined : {}),
    ],
    [
      "a process is too busy",
      "capacity",
      (process, atMs) => (process === "a/access" ? { busyMs: atMs * 0.95 } : {}),
    ],
  ];
  test.each(stops)("%s: %s, within two seconds and a half", (_, kind, says) => {
    expect(stopAt(says, 22_500)).toBe(kind);
  });
  test("what happens in the blocked campus itself stops nothing", () => {
    const says: Says = (process, atMs) =>
      process === "b/kvsvr" && atMs > 20_000 ? undefined : { busyMs: atMs * 0.3 };
    expect(stopAt(says, 25_000)).toBeUndefined();
  });
  test("chance: three deviations above what there was", () => {
    expect([0, 1, 16, 100].map((before) => allowedFailures(before, 10_000, 10_000))).toEqual([
      0, 4, 28, 130,
    ]);
    expect(allowedFailures(5, 0, 10_000)).toBe(0);
  });
});

describe("before it begins", () => {
  const facts = {
    campus: "b",
    campuses: CAMPUSES,
    processes: PROCESSES,
    blocks: [] as string[] | undefined,
    samples: samples(() => ({}), BLOCKED),
    nowMs: BLOCKED,
    busyPercentMax: 90,
    behind: undefined,
    clocksApartMsMax: 2_000,
    clocks: { known: 6, apartMs: 2_000, ahead: "a/access", behind: "b/access" },
  };
  const wrong = (changes: Partial<typeof facts> | { behind: string }) =>
    preChecks({ ...facts, ...changes } as typeof facts).flatMap(({ name, ok }) =>
      ok ? [] : [name],
    );
  test("all is well", () => expect(wrong({})).toEqual([]));
  test("of clocks it is said how many are known", () => {
    const clocks = { ...facts.clocks, known: 4 };
    const found = preChecks({ ...facts, clocks }).find(({ name }) => name === "the clocks agree");
    expect(found).toMatchObject({
      ok: true,
      found: "4 of 6 processes said their time, none more than 2.0 s apart for certain",
    });
  });
  test.each([
    ["nothing is blocked", { blocks: ["c/text"] }],
    ["nothing is blocked", { blocks: undefined }],
    [
      "every process answers",
      { samples: facts.samples.filter(({ process }) => process !== "c/access") },
    ],
    ["the clocks agree", { clocks: { ...facts.clocks, apartMs: 2_001 } }],
    ["every replica of the store is caught up", { behind: "campus a is 3 keys behind" }],
    [
      "two campuses can carry the load",
      { samples: samples((_, atMs) => ({ busyMs: atMs * 0.7 }), BLOCKED) },
    ],
  ])("not so: %s", (name, changes) => {
    expect(wrong(changes)).toEqual([name]);
  });
});
