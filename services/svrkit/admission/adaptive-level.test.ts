/** Promise 6 in virtual time: overload sheds early, cheaply, and the same share of every kind of task. */
import { expect, test } from "vitest";
import { AdaptiveLevel } from "./adaptive-level.ts";
import type { ThreadTimes } from "./admission.ts";
import { bucketOf, EVERYTHING, LAST_BUCKET, priorityOf, USER_BUCKETS } from "./priority.ts";
import { type Load, runOverloaded, type TaskOutcome } from "./testing/overloaded-service.ts";

const WORK_MS = 1;
/** A level needs a moment to be found; that is another test's subject. */
const SETTLED_MS = 2_000;

const ours = (thread: () => ThreadTimes) => new AdaptiveLevel({ thread });

function load(calls: readonly number[], times: number, more: Partial<Load> = {}): Load {
  const mean = calls.reduce((sum, k) => sum + k, 0) / calls.length;
  const rates = [{ fromMs: 0, tasks: (times * 1_000) / WORK_MS / mean }];
  return { rates, calls, workMs: WORK_MS, forMs: 10_000, callerHeeds: true, seed: 1, ...more };
}

function shareOf(outcomes: readonly TaskOutcome[]): number {
  return outcomes.filter((task) => task.succeeded).length / outcomes.length;
}

const settled = (outcomes: readonly TaskOutcome[]) =>
  outcomes.filter((task) => task.atMs >= SETTLED_MS && task.atMs < 9_000);

const kinds = [[1], [2], [3], [4], [1, 2, 3, 4]];
const loads = [1, 2, 4].flatMap((times) => kinds.map((calls) => ({ times, calls })));
test.each(loads)(
  "promise 6: at $times x saturation tasks of $calls calls succeed as often as they can, and little is wasted",
  ({ times, calls }) => {
    const outcomes = settled(runOverloaded(ours, load(calls, times)));
    expect(shareOf(outcomes) * times).toBeGreaterThan(0.94);
    const worked = outcomes.reduce((sum, task) => sum + task.worked, 0);
    const failed = outcomes.filter((task) => !task.succeeded);
    const wasted = failed.reduce((sum, task) => sum + task.worked, 0);
    expect(wasted / worked).toBeLessThan(0.05);
    const byCalls = calls.map((k) => shareOf(outcomes.filter((task) => task.calls === k)));
    expect(Math.max(...byCalls) - Math.min(...byCalls)).toBeLessThan(0.05);
  },
);

test.each(
  [0.8, 2, 4, 8].flatMap((times) => [[1], [1, 2, 3, 4]].map((calls) => ({ times, calls }))),
)(
  "promise 6: work after a wait is seen, too: at $times x saturation, tasks of $calls calls",
  ({ times, calls }) => {
    const shares = [1, 2].map((seed) =>
      shareOf(settled(runOverloaded(ours, load(calls, times, { worksAfterWait: true, seed })))),
    );
    const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    if (times < 1) expect(mean).toBe(1);
    else expect(mean * times).toBeGreaterThan(0.93);
  },
);

test("admission: a thread that has rested has caught up, and begins to shed nobody for what waited before", () => {
  const sums = { usedMs: 0, idleMs: 0, sheddableEnded: 0, othersEnded: 0 };
  const level = new AdaptiveLevel({ thread: () => ({ ...sums }) });
  const second = (fromMs: number, idleShare: number) => {
    for (let ms = fromMs; ms < fromMs + 1_000; ms++) {
      sums.idleMs += idleShare;
      sums.usedMs += 1 - idleShare;
      const priority = priorityOf("message", ms % USER_BUCKETS);
      level.arrive(priority, ms);
      if (level.start(priority, 30)) level.ended(ms);
    }
  };
  second(0, 0.2);
  expect(level.level(1_000)).toBe(EVERYTHING);
  second(1_000, 0.05);
  expect(level.level(2_000)).toBeLessThan(EVERYTHING);
});

test("admission: that no call ends for a while is not taken for all that can be done", () => {
  const sums = { usedMs: 0, idleMs: 0, sheddableEnded: 0, othersEnded: 0 };
  const level = new AdaptiveLevel({ thread: () => ({ ...sums }) });
  for (let ms = 0; ms < 1_500; ms++) {
    sums.usedMs += 1;
    const priority = priorityOf("message", ms % USER_BUCKETS);
    level.arrive(priority, ms);
    if (level.start(priority, 40) && ms < 500) level.ended(ms);
  }
  expect(level.level(1_500)).toBeGreaterThan(priorityOf("message", USER_BUCKETS / 2));
});

test("admission: the thread's time goes to those that may be shed by their part of what began and ended", () => {
  const sums = { usedMs: 0, idleMs: 0, sheddableEnded: 0, othersEnded: 0 };
  const level = new AdaptiveLevel({ thread: () => ({ ...sums }) });
  const second = (fromMs: number, others: number) => {
    for (let ms = fromMs; ms < fromMs + 1_000; ms++) {
      sums.usedMs += 1;
      sums.othersEnded += others;
      const priority = priorityOf("message", ms % USER_BUCKETS);
      level.arrive(priority, ms);
      if (level.start(priority, 200)) level.ended(ms);
    }
  };
  second(0, 9);
  expect(level.level(1_000)).toBe(EVERYTHING);
  second(1_000, 1);
  expect(level.level(2_000)).toBeLessThan(EVERYTHING);
});

test.each([
  { times: 1, calls: [1] },
  { times: 1, calls: [4] },
  { times: 4, calls: [1] },
  { times: 4, calls: [4] },
])(
  "admission: a core that is taken away for 50 ms of every second costs what was taken, at $times x, $calls calls",
  ({ times, calls }) => {
    const stallMs = 50;
    const shares = [1, 2, 3].map((seed) =>
      shareOf(settled(runOverloaded(ours, load(calls, times, { stallMs, seed })))),
    );
    const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    expect((mean * times) / (1 - stallMs / 1_000)).toBeGreaterThan(0.95);
  },
);

test("admission: after half a minute of 8 x saturation it still lets in what can be done", () => {
  const outcomes = runOverloaded(ours, load([4], 8, { forMs: 60_000 }));
  const late = outcomes.filter(({ atMs }) => atMs >= 30_000 && atMs < 59_000);
  expect(shareOf(late) * 8).toBeGreaterThan(0.96);
});

test("admission: below saturation nothing is refused", () => {
  expect(shareOf(settled(runOverloaded(ours, load([1, 2], 0.8))))).toBe(1);
});

test.each([
  [50, 0, false],
  [50, 0, true],
  [200, 0.1, false],
  [200, 0.1, true],
])(
  "admission: at 0.3 x saturation, %d calls of a second at once: at most so many are shed: %f (work after a wait: %s)",
  (burst, shedMax, worksAfterWait) => {
    const perSecond = 0.3 / (WORK_MS / 1_000);
    const rates = [{ fromMs: 0, tasks: perSecond - burst }];
    const shares = [1, 2, 3, 4, 5].map((seed) =>
      shareOf(settled(runOverloaded(ours, load([1], 0.3, { rates, burst, worksAfterWait, seed })))),
    );
    const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    expect(1 - mean).toBeLessThanOrEqual(shedMax);
  },
);

test("admission: callers that do not heed the level cost little more", () => {
  const outcomes = runOverloaded(ours, load([2], 4, { callerHeeds: false }));
  expect(shareOf(settled(outcomes)) / 0.25).toBeGreaterThan(0.9);
});

test.each(
  [[1], [1, 2, 3, 4]].flatMap((calls) => [
    { calls, waitedFor: 0.8, late: 0.5, everyMs: 10_000 },
    { calls, waitedFor: 0.8, late: 4, everyMs: 10_000 },
    { calls, waitedFor: 0.9, late: 2, everyMs: 10_000 },
    { calls, waitedFor: 0.9, late: 4, everyMs: 10_000 },
    // Gone, and back again.
    { calls, waitedFor: 0.9, late: 4, everyMs: 300 },
    { calls, waitedFor: 0.8, late: 2, everyMs: 1_000 },
  ]),
)(
  "admission: $waitedFor is served, whatever comes that nobody waits for: $late, for $everyMs ms, tasks of $calls",
  ({ calls, waitedFor, late, everyMs }) => {
    const { tasks } = load(calls, waitedFor).rates[0]!;
    const rates = Array.from({ length: 10_000 / everyMs }, (_, i) => ({
      ...{ fromMs: i * everyMs, tasks },
      late: i % 2 === 0 ? (tasks / waitedFor) * late : 0,
    }));
    const shares = [1, 2, 3, 4, 5].map((seed) => {
      const outcomes = settled(runOverloaded(ours, load(calls, waitedFor, { rates, seed })));
      return shareOf(outcomes.filter(({ isLate }) => !isLate));
    });
    expect(shares.reduce((sum, share) => sum + share, 0) / shares.length).toBeGreaterThan(0.99);
  },
);

test("admission: what nobody waits for has what others leave", () => {
  const rates = [{ fromMs: 0, tasks: 600, late: 600 }];
  const outcomes = settled(runOverloaded(ours, load([1], 1.2, { rates })));
  expect(shareOf(outcomes.filter(({ isLate }) => isLate)) * 0.6).toBeGreaterThan(0.3);
});

test("admission: logins outrank messages, messages outrank moments", () => {
  const classes = ["login", "message", "moments"] as const;
  const outcomes = settled(runOverloaded(ours, load([2], 2, { classes })));
  const shares = classes.map((name) => shareOf(outcomes.filter((task) => task.class === name)));
  expect(shares[0]).toBeGreaterThan(0.99);
  expect(shares[1]).toBeGreaterThan(0.3);
  expect(shares[2]).toBeLessThan(0.01);
});

/** Successful calls by 100 ms after the rate changed at 3 s. */
function afterStep(from: number, to: number, worksAfterWait: boolean): number[] {
  const calls = [1, 2, 3, 4];
  const served = Array.from({ length: 20 }, () => 0);
  const runs = 5;
  for (let seed = 1; seed <= runs; seed++) {
    const [before] = load(calls, from).rates;
    const [after] = load(calls, to).rates;
    const rates = [before!, { fromMs: 3_000, tasks: after!.tasks }];
    const outcomes = runOverloaded(ours, load(calls, to, { rates, seed, worksAfterWait }));
    for (const task of outcomes) {
      const index = Math.floor((task.endMs - 3_000) / 100);
      if (task.succeeded && index >= 0 && index < 20) served[index]! += task.calls / runs;
    }
  }
  return served;
}

test.each([
  [0.5, 4, 100, false],
  [0.5, 1.4, 100, false],
  [4, 1.5, 100, false],
  [4, 0.5, 50, false],
  [0.5, 4, 96, true],
  [0.5, 8, 96, true],
  [4, 0.5, 50, true],
] as const)(
  "admission: from %f to %f x saturation it settles within 1 s (of %d, work after a wait: %s)",
  (from, to, possible, worksAfterWait) => {
    const served = afterStep(from, to, worksAfterWait).slice(8);
    expect(Math.min(...served)).toBeGreaterThan(0.8 * possible);
    const mean = served.reduce((sum, calls) => sum + calls, 0) / served.length;
    expect(mean).toBeGreaterThan(0.94 * possible);
  },
);

/** A second of one call a millisecond, each worked on for so long after it has waited for so long. */
function oneAMillisecond(level: AdaptiveLevel, waitedMs: number, workMs: number, fromMs = 0): void {
  for (let ms = fromMs; ms < fromMs + 1_000; ms++) {
    const priority = priorityOf("message", ms % USER_BUCKETS);
    level.arrive(priority, ms);
    if (!level.start(priority, waitedMs)) continue;
    level.worked(workMs, 0);
    level.ended(ms);
  }
}

test("admission: calls that take little of the time are not shed for the waits that others make", () => {
  const level = new AdaptiveLevel();
  oneAMillisecond(level, 200, 0.2);
  expect(level.level(1_000)).toBe(EVERYTHING);
  oneAMillisecond(level, 200, 0.6, 1_000);
  expect(level.level(2_000)).toBeLessThan(EVERYTHING);
  // What was shed while it was much is let in again when it is little.
  oneAMillisecond(level, 200, 0.05, 2_000);
  expect(level.level(3_000)).toBe(EVERYTHING);
});

test("admission: after a pause everything is admitted again", () => {
  const level = new AdaptiveLevel();
  oneAMillisecond(level, 200, 0.6);
  expect(level.level(1_000)).toBeLessThan(EVERYTHING);
  // Those that hold everything back hear so from calls that do not count here.
  expect(level.level(5_000)).toBe(EVERYTHING);
  expect(level.arrive(EVERYTHING - 1, 5_000)).toBe(true);
});

test("admission: one long call that ends late does not hold back for longer what everybody holds back", () => {
  const level = new AdaptiveLevel();
  oneAMillisecond(level, 200, 0.6);
  level.ended(2_000);
  expect(level.level(2_100)).toBeLessThan(EVERYTHING);
  level.ended(5_000);
  expect(level.level(5_100)).toBe(EVERYTHING);
});

test("admission: what a call carries for others is counted once, though nobody counted the call", () => {
  const sums = { usedMs: 0, idleMs: 0, sheddableEnded: 0, othersEnded: 0 };
  const level = new AdaptiveLevel({ thread: () => ({ ...sums }) });
  for (let ms = 0; ms < 500; ms++) {
    sums.usedMs += 0.2;
    level.worked(0.2, -0.2);
    const priority = priorityOf("message", ms % USER_BUCKETS);
    level.arrive(priority, ms);
    if (level.start(priority, 200)) level.ended(ms);
  }
  expect(level.level(500)).toBe(EVERYTHING);
});

test("admission: what calls work later is not learnt from the few of an idle process, which works for itself", () => {
  const sums = { usedMs: 0, idleMs: 0, sheddableEnded: 0, othersEnded: 0 };
  const level = new AdaptiveLevel({ thread: () => ({ ...sums }) });
  const tenSeconds = (fromMs: number, everyMs: number) => {
    for (let ms = fromMs; ms < fromMs + 10_000; ms++) {
      sums.usedMs += 0.05;
      sums.idleMs += 0.95;
      if (ms % everyMs > 0) continue;
      const priority = priorityOf("message", (ms / everyMs) % USER_BUCKETS);
      level.arrive(priority, ms);
      if (level.start(priority, 0)) level.ended(ms);
    }
  };
  tenSeconds(0, 1_000);
  expect(level.laterMs).toBe(0);
  tenSeconds(10_000, 5);
  expect(level.laterMs).toBeCloseTo(0.25);
});

test("admission: the threshold follows the mean work when that is long", () => {
  const level = new AdaptiveLevel();
  expect(level.thresholdMs).toBe(20);
  for (let ms = 0; ms < 10_000; ms += 50) {
    level.arrive(1, ms);
    level.start(1, 0);
    level.worked(50, 0);
    level.ended(ms);
  }
  expect(level.thresholdMs).toBeGreaterThan(200);
});

test("priority: a user's bucket is the same all through an hour, and another one in the next", () => {
  const hourMs = 3_600_000;
  const users = Array.from({ length: 2_000 }, (_, i) => `01au1-${i}`);
  const now = users.map((user) => bucketOf(user, hourMs * 7));
  expect(users.map((user) => bucketOf(user, hourMs * 8 - 1))).toEqual(now);
  const later = users.map((user) => bucketOf(user, hourMs * 8));
  expect(Math.max(...now)).toBeLessThan(LAST_BUCKET);
  const same = later.filter((bucket, i) => bucket === now[i]).length;
  expect(same / users.length).toBeLessThan(0.03);
  expect(new Set(now).size).toBe(USER_BUCKETS);
});
