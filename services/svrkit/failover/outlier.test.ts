import { expect, test } from "vitest";
import { Outlier } from "./outlier.ts";
import { Typical } from "./typical.ts";

/** One letter a second: s succeeded, f failed, l late, p a call goes there, . nothing. */
const stories: [name: string, story: string, states: string][] = [
  ["failures between successes", "ffffsffffs", "wwwwwwwwww"],
  ["five in a row", "fffff", "wwwwo"],
  ["three late ones in a row", "llsll.l", "wwwwwwo"],
  ["a probe that succeeds", "fffffp.s", "wwwwoppw"],
  ["one probe at a time", "fffffpp.s", "wwwwopppw"],
  ["a probe that fails: twice as long", "fffffpf.pps", "wwwwopooppw"],
  ["a probe that is late", "fffffpl", "wwwwopo"],
  ["answers of calls made before", "fffffss", "wwwwooo"],
];

test.each(stories)("outlier: %s (%s)", (_, story, states) => {
  const outlier = new Outlier();
  const seen = [...story].map((letter, second) => {
    const nowMs = second * 1_000;
    if (letter === "s") outlier.succeeded(nowMs);
    if (letter === "f") outlier.failed(nowMs);
    if (letter === "l") outlier.late(nowMs);
    if (letter === "p") outlier.asked(nowMs);
    return outlier.state.state[0];
  });
  expect(seen.join("")).toBe(states);
  expect(outlier.isOut).toBe(!states.endsWith("w"));
});

test("outlier: left out for at most 30 s, and after a minute of health as for the first time", () => {
  const outlier = new Outlier();
  const outFor: number[] = [];
  let nowMs = 0;
  const leaveOut = () => {
    for (let i = 0; i < 5; i++) outlier.failed(nowMs);
    const { state } = outlier;
    if (state.state === "out") outFor.push(state.untilMs - nowMs);
    nowMs += 30_000;
    expect(outlier.isDue(nowMs)).toBe(true);
    outlier.asked(nowMs);
    expect(outlier.isDue(nowMs)).toBe(false);
    outlier.succeeded(nowMs);
  };
  for (let i = 0; i < 7; i++) leaveOut();
  expect(outFor).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  nowMs += 61_000;
  outlier.succeeded(nowMs);
  leaveOut();
  expect(outFor.at(-1)).toBe(1_000);
});

test("typical: nothing is late before there is a rule, nor where waiting is the rule", () => {
  const fast = new Typical();
  expect(fast.lateAfterMs).toBe(Number.POSITIVE_INFINITY);
  for (let i = 0; i < 20; i++) fast.answered(2);
  expect(fast.lateAfterMs).toBe(250);
  for (let i = 0; i < 200; i++) fast.answered(60);
  expect(fast.lateAfterMs).toBeCloseTo(600, -1);
  const polling = new Typical();
  for (let i = 0; i < 100; i++) polling.answered(900);
  expect(polling.lateAfterMs).toBe(Number.POSITIVE_INFINITY);
});

test("typical: a few that take for ever do not become the rule", () => {
  const typical = new Typical();
  for (let i = 0; i < 100; i++) typical.answered(2);
  for (let i = 0; i < 3; i++) typical.answered(5_000);
  expect(typical.lateAfterMs).toBeLessThan(500);
});

const rules: [meanMs: number, enoughMs: number][] = [
  [1, 250],
  [25, 250],
  [60, 600],
  [900, 2_000],
];

test.each(rules)(
  "typical: who takes %i ms as a rule has had time enough after %i ms",
  (mean, enough) => {
    const typical = new Typical();
    expect(typical.enoughMs).toBe(250);
    for (let i = 0; i < 10; i++) typical.answered(mean);
    expect(typical.enoughMs).toBeCloseTo(enough);
  },
);
