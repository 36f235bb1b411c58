import { expect, test } from "vitest";
import { GIVEN_UP_AFTER_MS } from "./limits.ts";
import { rest } from "./rest.ts";
import { wasStopped, watchForStops } from "./stall.ts";

test("stall: seen by the first event after a stop, over when the timers have run again", async () => {
  expect(wasStopped()).toBe(false);
  watchForStops();
  expect(wasStopped()).toBe(false);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, GIVEN_UP_AFTER_MS + 100);
  expect(wasStopped()).toBe(true);
  await rest(700);
  expect(wasStopped()).toBe(false);
});
