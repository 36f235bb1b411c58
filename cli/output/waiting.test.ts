import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Waiting } from "./waiting.ts";

let told: string[];
const screen = (isTTY: boolean) => ({
  isTTY,
  write: (line: string | Uint8Array) => {
    told.push(String(line));
    return true;
  },
});

beforeEach(() => {
  told = [];
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("waiting: a person hears every 5 s what is waited for, until it is there", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const outcome = new Waiting(screen(true)).during("a start", promise);
  await vi.advanceTimersByTimeAsync(4_000);
  expect(told).toEqual([]);
  await vi.advanceTimersByTimeAsync(12_000);
  expect(told).toEqual(Array.from({ length: 3 }, () => "waiting: a start\n"));
  resolve("it is there");
  expect(await outcome).toBe("it is there");
  await vi.advanceTimersByTimeAsync(12_000);
  expect(told).toHaveLength(3);
});

test("waiting: a script hears nothing", async () => {
  const waiting = new Waiting(screen(false));
  await vi.advanceTimersByTimeAsync(12_000);
  waiting.tell("a start");
  expect(told).toEqual([]);
});
