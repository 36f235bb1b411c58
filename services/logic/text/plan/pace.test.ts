import { expect, test } from "vitest";
import { Random } from "../../../svrkit/seeded-random.ts";
import { Pace } from "./pace.ts";

interface Load {
  readonly perSecond: number;
  /** What the store ends a second, whatever is open. */
  readonly endsPerSecond: number;
  readonly seconds: number;
}

/** From here on the pace is known, and holds. */
const KNOWN_MS = 5_000;

/** Sends come evenly and end in their order; a fixed time of 10 ms besides. */
function run({ perSecond, endsPerSecond, seconds }: Load) {
  const pace = new Pace();
  const open: number[] = [];
  let due = 0;
  let room = 0;
  const result = { refused: 0, taken: 0, inTime: 0, slowestMs: 0, slowestLaterMs: 0 };
  for (let nowMs = 0; nowMs < seconds * 1_000; nowMs++) {
    for (due += perSecond / 1_000; due >= 1; due--) {
      if (pace.take(nowMs, false)) open.push(nowMs);
      else result.refused += 1;
    }
    room = Math.min(room + endsPerSecond / 1_000, Math.max(1, endsPerSecond / 1_000));
    for (; room >= 1 && open.length > 0 && nowMs - open[0]! >= 10; room--) {
      const beganMs = open.shift()!;
      const tookMs = nowMs - beganMs;
      pace.ended(tookMs);
      result.taken += 1;
      if (tookMs < 4_500) result.inTime += 1;
      result.slowestMs = Math.max(result.slowestMs, tookMs);
      if (beganMs > KNOWN_MS) result.slowestLaterMs = Math.max(result.slowestLaterMs, tookMs);
    }
  }
  return result;
}

test("pace: what can be carried is taken, every one", () => {
  expect(run({ perSecond: 900, endsPerSecond: 1_000, seconds: 20 }).refused).toBe(0);
});

test.each([2, 4, 10])("pace: at %i x what can be carried as much is carried, in time", (times) => {
  const load = { perSecond: 500 * times, endsPerSecond: 500, seconds: 30 };
  const { inTime, refused, slowestMs, slowestLaterMs } = run(load);
  expect(inTime).toBeGreaterThan(500 * 30 * 0.9);
  expect(refused).toBeGreaterThan(500 * (times - 1) * 30 * 0.8);
  expect(slowestMs).toBeLessThan(4_500);
  // The bound on open sends alone would let them wait for 4 s.
  expect(slowestLaterMs).toBeLessThan(2_000);
});

test("pace: when nothing ends at all, few wait for it", () => {
  const pace = new Pace();
  let taken = 0;
  for (let nowMs = 0; nowMs < 10_000; nowMs++) if (pace.take(nowMs, false)) taken += 1;
  expect(taken).toBeLessThan(1_500);
  expect(pace.open).toBe(taken);
});

test("pace: after an overload everything is taken again", () => {
  const pace = new Pace();
  let nowMs = 0;
  for (; nowMs < 5_000; nowMs++) pace.take(nowMs, false);
  while (pace.open > 0) pace.ended(4_000);
  let refused = 0;
  for (const end = nowMs + 3_000; nowMs < end; nowMs += 10) {
    if (pace.take(nowMs, false)) pace.ended(10);
    else refused += 1;
  }
  expect(refused).toBe(0);
});

test("pace: a burst into a quick platform is taken", () => {
  const pace = new Pace();
  for (let nowMs = 0; nowMs < 1_000; nowMs += 100) {
    expect(pace.take(nowMs, false)).toBe(true);
    pace.ended(10);
  }
  for (let i = 0; i < 1_999; i++) expect(pace.take(1_001, false)).toBe(true);
});

test("pace: sends that wait for somebody else do not make it slow", () => {
  const pace = new Pace();
  for (let nowMs = 0; nowMs < 5_000; nowMs += 5) {
    expect(pace.take(nowMs, false)).toBe(true);
    pace.leave();
  }
  for (let i = 0; i < 1_000; i++) {
    pace.back();
    pace.ended(10);
  }
  expect(pace.open).toBe(0);
});

/** Who is refused asks again, as clients do; what ends within the 5 s for which its sender waits is in time. */
function runWithRetries(
  { perMs, endsPerMs }: { perMs: number; endsPerMs: number },
  tells: boolean,
) {
  const random = new Random(1, "pace");
  const pace = new Pace();
  const open: { dueMs: number; takenMs: number }[] = [];
  const again = new Map<number, number[]>();
  const ended = { inTime: 0, late: 0 };
  for (let nowMs = 0; nowMs < 60_000; nowMs++) {
    const due = again.get(nowMs) ?? [];
    again.delete(nowMs);
    if (random.chance(perMs)) due.push(nowMs);
    for (const dueMs of due) {
      const ageMs = nowMs - dueMs;
      if (pace.take(nowMs, tells && ageMs >= 5_000)) open.push({ dueMs, takenMs: nowMs });
      else {
        const pauseMs = ageMs < 800 ? 1_000 : 2_000;
        const atMs = nowMs + pauseMs / 2 + random.index(pauseMs / 2);
        again.set(atMs, [...(again.get(atMs) ?? []), dueMs]);
      }
    }
    const oldest = open[0];
    if (oldest === undefined || nowMs - oldest.takenMs < 100 || !random.chance(endsPerMs)) continue;
    open.shift();
    pace.ended(nowMs - oldest.takenMs);
    ended[nowMs - oldest.dueMs < 5_000 ? "inTime" : "late"] += 1;
  }
  return ended;
}

test.each([
  { perMs: 0.4, endsPerMs: 0.3 },
  { perMs: 0.4, endsPerMs: 0.2 },
  { perMs: 0.8, endsPerMs: 0.3 },
])(
  "pace: what senders wait for comes before what they were told nobody answered ($perMs, $endsPerMs)",
  (load) => {
    const possible = load.endsPerMs * 60_000;
    expect(runWithRetries(load, true).inTime).toBeGreaterThan(0.85 * possible);
    expect(runWithRetries(load, false).inTime).toBeLessThan(0.6 * possible);
  },
);
