import { expect, test } from "vitest";
import { beforeReading, monitor, monitorId, readMonitors } from "./monitor.ts";
import { MONITOR_NUMBERS_MAX, MONITORS } from "./table.ts";

test("monitors: every number and name is there once, with words about it", () => {
  const numbers = MONITORS.map(({ number }) => number);
  expect(new Set(numbers).size).toBe(MONITORS.length);
  expect(new Set(MONITORS.map(({ name }) => name)).size).toBe(MONITORS.length);
  expect(Math.max(...numbers)).toBeLessThan(MONITOR_NUMBERS_MAX);
  expect(Math.min(...numbers)).toBeGreaterThan(0);
  for (const { name, unit, owner, description } of MONITORS) {
    expect(name).toMatch(/^[a-z]+\.[a-z_]+$/);
    expect(unit).not.toBe("");
    expect(owner).toMatch(/^[a-z-]+$/);
    expect(description.length, name).toBeGreaterThan(10);
  }
});

test("monitors: what was added and set is read, of those that are in use", () => {
  const sum = monitorId("retention.failures");
  const level = monitorId("kvsvr.behind");
  monitor.add(sum, 2);
  monitor.add(sum, 3);
  monitor.set(level, 7);
  monitor.set(level, 4);
  const forget = beforeReading(() => monitor.add(level, 100));
  const read = () => readMonitors().map(({ name, value }) => [name, value]);
  expect(read()).toEqual([
    ["kvsvr.behind", 104],
    ["retention.failures", 5],
  ]);
  forget();
  expect(read()[0]).toEqual(["kvsvr.behind", 104]);
});
