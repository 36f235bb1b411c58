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
      pace.ended(tookMs, false);
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
  while (pace.open > 0) pace.ended(4_000, false);
  let refused = 0;
  for (const end = nowMs + 3_000; nowMs < end; nowMs += 10) {
    if (pace.take(nowMs, false)) pace.ended(10, false);
    else refused += 1;
  }
  expect(refused).toBe(0);
});

test("pace: a burst into a quick platform is taken", () => {
  const pace = new Pace();
  for (let nowMs = 0; nowMs < 1_000; nowMs += 100) {
    expect(pace.take(nowMs, false)).toBe(true);
    pace.ended(10, false);
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
    pace.ended(10, false);
  }
  expect(pace.open).toBe(0);
});

interface Clients {
  /** They say what nobody waits for any more. */
  readonly tell: boolean;
  /** Pauses grow with this part of a message's age. */
  readonly ageShare: number;
}

/** As the SDK does, and one that knows of neither: it pauses less, and is as good as new for ever. */
const OURS: Clients = { tell: true, ageShare: 1 / 4 };
const PLAIN: Clients = { tell: false, ageShare: 1 / 8 };

const PATIENCE_MS = 5_000;
const MODEL_MS = 60_000;

/** Who is refused asks again; what ends within the time for which its sender waits is in time. */
function runWithRetries(load: { perMs: number; endsPerMs: number }, { tell, ageShare }: Clients) {
  const random = new Random(1, "pace");
  const pace = new Pace();
  const open: { dueMs: number; takenMs: number; isLast: boolean }[] = [];
  const again = new Map<number, number[]>();
  const ended = { inTime: 0, late: 0 };
  for (let nowMs = 0; nowMs < MODEL_MS; nowMs++) {
    const due = again.get(nowMs) ?? [];
    again.delete(nowMs);
    if (random.chance(load.perMs)) due.push(nowMs);
    for (const dueMs of due) {
      const ageMs = nowMs - dueMs;
      const isLast = tell && ageMs >= PATIENCE_MS;
      if (pace.take(nowMs, isLast)) open.push({ dueMs, takenMs: nowMs, isLast });
      else {
        const pauseMs = Math.max(ageMs < 800 ? 1_000 : 2_000, Math.min(30_000, ageMs * ageShare));
        const atMs = nowMs + Math.ceil(pauseMs * (0.5 + random.next() / 2));
        again.set(atMs, [...(again.get(atMs) ?? []), dueMs]);
      }
    }
    const oldest = open[0];
    const isOver = oldest !== undefined && nowMs - oldest.takenMs >= 100;
    if (!isOver || !random.chance(load.endsPerMs)) continue;
    open.shift();
    pace.ended(nowMs - oldest.takenMs, oldest.isLast);
    ended[nowMs - oldest.dueMs < PATIENCE_MS ? "inTime" : "late"] += 1;
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
    const possible = load.endsPerMs * MODEL_MS;
    const ours = runWithRetries(load, OURS);
    expect(ours.inTime).toBeGreaterThan(0.85 * possible);
    expect(ours.late).toBeGreaterThan(0.02 * possible);
    expect(runWithRetries(load, PLAIN).inTime).toBeLessThan(0.7 * possible);
  },
);

test("pace: an overload of new sends alone leaves a few places to what nobody waits for", () => {
  const pace = new Pace();
  const open: { takenMs: number; isLast: boolean }[] = [];
  const ended = { new: 0, last: 0 };
  let lastMax = 0;
  // 500 new ones a second and as many others; 250 end.
  for (let nowMs = 0; nowMs < 30_000; nowMs++) {
    const isLast = nowMs % 2 === 1;
    if (pace.take(nowMs, isLast)) open.push({ takenMs: nowMs, isLast });
    if (nowMs % 4 > 0) continue;
    const oldest = open.shift()!;
    pace.ended(nowMs - oldest.takenMs, oldest.isLast);
    if (nowMs < KNOWN_MS) continue;
    ended[oldest.isLast ? "last" : "new"] += 1;
    lastMax = Math.max(lastMax, open.filter((send) => send.isLast).length);
  }
  expect(ended.last).toBeGreaterThan(100);
  expect(ended.new).toBeGreaterThan(0.9 * 250 * 25);
  expect(lastMax).toBeLessThan(10);
});
