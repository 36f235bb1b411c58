import { expect, test } from "vitest";
import type { Evidence, Sample } from "./evidence.ts";
import { KeptSamples } from "./kept-samples.ts";
import { Seen } from "./seen.ts";
import { judge } from "./verdict.ts";
import { breachIn } from "./watch.ts";

const HOUR_MS = 3_600_000;
const CAMPUSES = ["a", "b", "c"];

function processesOf(perCampus: number) {
  return CAMPUSES.flatMap((campus) =>
    Array.from({ length: perCampus }, (_, i) => {
      return { name: `${campus}/${i}`, campus, services: [i === 0 ? "kvsvr" : "access"] };
    }),
  );
}

interface Times {
  readonly blockedAtMs: number;
  readonly unblockedAtMs: number;
  readonly endedAtMs: number;
}

/** Half a second apart, of all processes; campus b has no calls while it is blocked. */
function* story(
  names: readonly string[],
  { blockedAtMs, unblockedAtMs, endedAtMs }: Times,
  says: (process: string, atMs: number) => Partial<Sample>,
): Generator<Sample> {
  const calls = new Map(names.map((name) => [name, 0]));
  for (let atMs = 0; atMs <= endedAtMs; atMs += 500) {
    const isBlocked = atMs > blockedAtMs + 500 && atMs <= unblockedAtMs;
    for (const process of names) {
      if (!isBlocked || !process.startsWith("b")) calls.set(process, calls.get(process)! + 5);
      const count = calls.get(process)!;
      const base = { process, atMs, uptimeMs: 60_000 + atMs, busyMs: atMs * 0.3, unready: "" };
      yield { ...base, requests: count, failures: 0, calls: count, ...says(process, atMs) };
    }
  }
}

const LONG: Times = {
  blockedAtMs: 0.4 * HOUR_MS + 300,
  unblockedAtMs: 0.7 * HOUR_MS + 700,
  endedAtMs: HOUR_MS,
};

test.each<[what: string, says: (process: string, atMs: number) => Partial<Sample>]>([
  ["all goes well", () => ({})],
  ["requests fail all the time", (_, atMs) => ({ failures: Math.floor(atMs / 7_000) })],
  [
    "one fails right before the block, one after it, one at its end",
    (process, atMs) => {
      const times = [LONG.blockedAtMs, LONG.blockedAtMs + 500, LONG.unblockedAtMs + 500];
      return { failures: process === "a/0" ? times.filter((one) => one < atMs).length : 0 };
    },
  ],
  [
    "a process starts anew every few minutes",
    (process, atMs) => {
      const uptimeMs = atMs % 400_000;
      if (process !== "c/1") return {};
      return {
        uptimeMs,
        requests: uptimeMs / 100,
        calls: uptimeMs / 100,
        failures: uptimeMs > 9e4 ? 1 : 0,
      };
    },
  ],
])("samples: what is left out changes neither verdict nor figures: %s", (_, says) => {
  const processes = processesOf(2);
  const kept = new KeptSamples(4_000);
  const all: Sample[] = [];
  let most = 0;
  for (const sample of story(
    processes.map(({ name }) => name),
    LONG,
    says,
  )) {
    const isNext = (atMs: number) => sample.atMs >= atMs && all.at(-1)!.atMs < atMs;
    for (const atMs of [LONG.blockedAtMs, LONG.unblockedAtMs]) if (isNext(atMs)) kept.mark(atMs);
    all.push(sample);
    kept.add(sample);
    most = Math.max(most, kept.samples.length);
  }
  expect(most).toBe(4_000);
  expect(kept.samples.length).toBeLessThan(all.length / 10);
  const evidence: Evidence = {
    ...{ format: 1, campus: "b", service: "", who: "ann", why: "a drill", campuses: CAMPUSES },
    ...{ startedAt: "2026-11-27T12:00:00.000Z", forMs: HOUR_MS, busyPercentMax: 90 },
    ...{ processes, checks: [], ...LONG, samples: all },
  };
  expect(judge({ ...evidence, samples: kept.samples })).toEqual(judge(evidence));
});

test("samples: however many there were, the drill is watched to its end", () => {
  const processes = processesOf(7).slice(1);
  const times = { blockedAtMs: 20_000, unblockedAtMs: HOUR_MS, endedAtMs: HOUR_MS };
  const [kept, seen] = [new KeptSamples(5_000), new Seen()];
  seen.blocked(times.blockedAtMs);
  const names = processes.map(({ name }) => name);
  const facts = { campus: "b", service: "", processes, busyPercentMax: 90, seen };
  const blockedAtMs = times.blockedAtMs;
  let added = 0;
  for (const sample of story(names, times, () => ({}))) {
    seen.add(sample);
    kept.add(sample);
    added += 1;
    if (added % 400 !== 0 || sample.atMs <= blockedAtMs) continue;
    const breach = breachIn({ ...facts, blockedAtMs }, sample.atMs);
    if (breach !== undefined) expect(breach).toBeUndefined();
  }
  expect(added).toBeGreaterThan(100_000);
  expect(kept.samples.length).toBeLessThanOrEqual(5_000);
  expect(kept.samples.slice(-20).map(({ process }) => process)).toEqual(names);
});
