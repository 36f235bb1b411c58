import { expect, test } from "vitest";
import { highest, peaksWith, withoutCampus } from "./capacity.ts";

test("capacity: a day's peak rises in steps and never falls; seven days are kept", () => {
  expect(peaksWith([], undefined, "2026-11-01")).toEqual([]);
  let peaks = peaksWith([], 41, "2026-11-01");
  peaks = peaksWith(peaks, 12, "2026-11-01");
  expect(peaks).toEqual([{ day: "2026-11-01", busyPercent: 45 }]);
  for (let day = 2; day <= 8; day++) peaks = peaksWith(peaks, day, `2026-11-0${day}`);
  expect(peaks.map(({ day }) => day)).toEqual([2, 3, 4, 5, 6, 7, 8].map((n) => `2026-11-0${n}`));
  expect([highest(peaks), highest([])]).toEqual([10, undefined]);
  expect(peaksWith([], 180, "2026-11-01")).toEqual([{ day: "2026-11-01", busyPercent: 100 }]);
});

const load = (campus: string, peakPercent: number | undefined, percentMax = 80) => ({
  ...{ campus, peakPercent, percentMax },
});

test.each([
  ["both others have room", [load("a", 40), load("b", 50), load("c", 50)], "can"],
  ["just so much", [load("a", 60), load("b", 50), load("c", 50)], "can"],
  ["one of them has none", [load("a", 60), load("b", 55), load("c", 20)], "cannot"],
  ["its own limit is lower", [load("a", 40), load("b", 50, 65), load("c", 50)], "cannot"],
  ["one was never measured", [load("a", 1), load("b", undefined), load("c", 1)], "unknown"],
  [
    "the lost one was never measured",
    [load("a", undefined), load("b", 1), load("c", 1)],
    "unknown",
  ],
])("capacity: campus a is lost, %s", (_, loads, verdict) => {
  expect(withoutCampus(loads, "a").verdict).toBe(verdict);
});
