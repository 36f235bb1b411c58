/** Promises 4 and 5 under simulated faults: a few schedules; `make sim-messages` runs thousands. */
import { expect, test } from "vitest";
import { MESSAGE_OPTIONS, runMessages } from "./run.ts";

const FEW = { ...MESSAGE_OPTIONS, schedules: 6, safetyMs: 3_000 };

test("messages: no promise is broken, and the same seed is the same run", async () => {
  const one = await runMessages(3, FEW);
  expect(one.violations).toEqual([]);
  expect(one.acked).toBeGreaterThan(20);
  expect(Object.keys(one.faults).length).toBeGreaterThan(0);
  expect(await runMessages(3, FEW)).toEqual(one);
}, 120_000);
