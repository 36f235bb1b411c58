import { expect, test } from "vitest";
import { DeliveryWatch } from "./delivery-watch.ts";
import { planReplay } from "./plan.ts";
import { Timeline } from "./timeline.ts";

/** Four speakers: n0 has two devices, n3 only sends. */
const lines = [0, 1, 2, 3].map((n) => ({ number: n + 1, nick: `n${n}`, text: `text ${n}` }));
const plan = planReplay("r", [{ title: "x", leftOut: 0, lines }]);

test("delivery watch: waits for online devices, measures at recipients only", () => {
  const watch = new DeliveryWatch(plan, new Timeline(0));
  expect(watch.open).toBe(4 * 4);
  watch.sent("r-0-1", 1_000);
  watch.arrived(0, "r-0-1", 1_005);
  watch.arrived(0, "r-0-1", 1_005);
  watch.arrived(1, "r-0-1", 1_020);
  expect(watch.open).toBe(16 - 3);
  expect(watch.latencies.count).toBe(1);
  expect(watch.latencies.max).toBe(20);
  expect(watch.lastArrivalMs).toBe(1_020);
});

test("delivery watch: a failed send is not waited for, whenever it arrives", () => {
  const watch = new DeliveryWatch(plan, new Timeline(0));
  watch.sent("r-0-1", 1_000);
  watch.arrived(1, "r-0-1", 1_010);
  watch.failed("r-0-1");
  expect(watch.open).toBe(12);
  watch.arrived(2, "r-0-1", 1_300);
  expect(watch.open).toBe(12);
});

test("delivery watch: messages of nobody in the plan are not counted", () => {
  const watch = new DeliveryWatch(plan, new Timeline(0));
  watch.arrived(1, "q-0-1", 10);
  expect(watch.open).toBe(16);
});
