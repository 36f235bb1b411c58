import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Beat } from "./beat.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("beat: duties whose periods divide each other run in the same wake-ups", () => {
  const beat = new Beat();
  const ran: string[] = [];
  const wakes = vi.spyOn(globalThis, "setTimeout");
  vi.advanceTimersByTime(123);
  beat.every(2_000, () => ran.push("long"));
  vi.advanceTimersByTime(77);
  beat.every(500, () => ran.push("short"));
  wakes.mockClear();
  ran.length = 0;
  vi.advanceTimersByTime(8_000);
  expect(ran.filter((name) => name === "short")).toHaveLength(16);
  expect(ran.filter((name) => name === "long")).toHaveLength(4);
  expect(wakes).toHaveBeenCalledTimes(16);
});

test("beat: a duty that is ended runs no more, and without any there is no timer", () => {
  const beat = new Beat();
  let ran = 0;
  const end = beat.every(100, () => {
    ran += 1;
    if (ran === 3) end();
  });
  vi.advanceTimersByTime(1_000);
  expect(ran).toBe(3);
  expect(vi.getTimerCount()).toBe(0);
});

test("beat: after a stop of the process a duty runs once, not for each time that it missed", () => {
  const beat = new Beat();
  let ran = 0;
  beat.every(100, () => {
    ran += 1;
  });
  vi.advanceTimersByTime(100);
  const before = ran;
  vi.setSystemTime(Date.now() + 60_000);
  vi.spyOn(performance, "now").mockReturnValue(performance.now() + 60_000);
  vi.advanceTimersByTime(100);
  expect(ran - before).toBe(1);
});
