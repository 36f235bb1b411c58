import { expect, test } from "vitest";
import { GROWN_UP_MS, planRestart } from "./restart-policy.ts";

test("restart: at once after the first death, slower while it keeps dying, never given up", () => {
  const pauses: number[] = [];
  let earlyDeaths = 0;
  for (let death = 0; death < 50; death++) {
    const restart = planRestart(earlyDeaths, 20);
    earlyDeaths = restart.earlyDeaths;
    pauses.push(restart.pauseMs);
  }
  expect(pauses.slice(0, 8)).toEqual([0, 100, 250, 500, 1_000, 2_000, 5_000, 10_000]);
  expect(Math.max(...pauses)).toBe(10_000);
});

test("restart: a process that lived for a while starts again at once", () => {
  const { earlyDeaths } = planRestart(5, 20);
  expect(planRestart(earlyDeaths, GROWN_UP_MS)).toEqual({ pauseMs: 0, earlyDeaths: 1 });
});
