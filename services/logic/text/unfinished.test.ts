import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RpcError } from "../../svrkit/errors.ts";
import { Unfinished } from "./unfinished.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

interface Send {
  readonly id: string;
}

function unfinishedWith(
  finish: (send: Send, attempts: number) => Promise<void>,
  onLeft?: (send: Send) => void,
): Unfinished<Send> {
  const now = () => Date.now();
  return new Unfinished({
    sizeMax: 2,
    pauseFirstMs: 1_000,
    now,
    finish,
    ...(onLeft && { onLeft }),
  });
}

test("unfinished: tried with growing pauses until it works", async () => {
  const attempts: number[] = [];
  const start = Date.now();
  const unfinished = unfinishedWith(async () => {
    attempts.push(Math.round((Date.now() - start) / 1_000));
    if (attempts.length < 3) throw new RpcError("UNAVAILABLE", "not yet");
  });
  unfinished.add({ id: "m1" });
  await vi.advanceTimersByTimeAsync(30_000);
  expect(attempts).toEqual([1, 3, 7]);
  expect(unfinished.size).toBe(0);
});

test("unfinished: what cannot be helped is given up", async () => {
  const unfinished = unfinishedWith(async () => {
    throw new RpcError("UNAUTHENTICATED", "the ticket has expired");
  });
  unfinished.add({ id: "m1" });
  await vi.advanceTimersByTimeAsync(2_000);
  expect(unfinished.size).toBe(0);
});

test.each(["DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL"] as const)(
  "unfinished: %s is not the last word",
  async (code) => {
    const unfinished = unfinishedWith(async (_, attempts) => {
      if (attempts === 0) throw new RpcError(code, "this time");
    });
    unfinished.add({ id: "m1" });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(unfinished.size).toBe(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(unfinished.size).toBe(0);
  },
);

test("unfinished: bounded, and each message once", () => {
  const unfinished = unfinishedWith(async () => {});
  for (const id of ["m1", "m1", "m2", "m3"]) unfinished.add({ id });
  expect(unfinished.size).toBe(2);
});

test("unfinished: nothing runs after the stop", async () => {
  const finish = vi.fn(async () => {});
  const unfinished = unfinishedWith(finish);
  unfinished.add({ id: "m1" });
  await unfinished.stop();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(finish).not.toHaveBeenCalled();
});

test("unfinished: those that cannot be finished keep nobody waiting who can", async () => {
  const finished: string[] = [];
  const unfinished = new Unfinished<Send>({
    sizeMax: 200,
    pauseFirstMs: 10,
    now: () => Date.now(),
    finish: async ({ id }) => {
      // Longer than its pause: it is due again when the round is over.
      await new Promise((resolve) => setTimeout(resolve, id.startsWith("stuck") ? 70_000 : 1));
      if (id.startsWith("stuck")) throw new RpcError("DEADLINE_EXCEEDED", "never");
      finished.push(id);
    },
  });
  for (let i = 0; i < 100; i++) unfinished.add({ id: `stuck ${i}` });
  unfinished.add({ id: "good" });
  await vi.advanceTimersByTimeAsync(5 * 71_000);
  expect(finished).toEqual(["good"]);
  const stopped = unfinished.stop();
  await vi.advanceTimersByTimeAsync(71_000);
  await stopped;
});
