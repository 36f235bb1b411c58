import { expect, test } from "vitest";
import { RpcError } from "../services/svrkit/errors.ts";
import { Retry } from "./retry.ts";

function pause(retry: Retry, code: "UNAVAILABLE" | "OVERLOADED", nowMs: number): number {
  retry.failed(new RpcError(code, "not now"), nowMs, () => 1);
  return retry.atMs - nowMs;
}

test("retry: pauses double, then grow with the age of what is asked for", () => {
  const retry = new Retry(1_000);
  const pauses = [1, 2, 3, 4, 5, 6].map(() => pause(retry, "UNAVAILABLE", 1_000));
  expect(pauses).toEqual([50, 100, 200, 400, 500, 500]);
  const old = [9_000, 81_000, 1_000_000].map((nowMs) => pause(retry, "UNAVAILABLE", nowMs));
  expect(old).toEqual([1_000, 10_000, 30_000]);
});

test("retry: who is overloaded is asked again later", () => {
  const retry = new Retry(0);
  expect([0, 0, 0].map((nowMs) => pause(retry, "OVERLOADED", nowMs))).toEqual([
    ...[1_000, 2_000, 2_000],
  ]);
  expect(pause(retry, "OVERLOADED", 40_000)).toBe(10_000);
});

test("retry: a pause ends before its time, and the next one is no shorter for that", () => {
  const retry = new Retry(0);
  for (let i = 0; i < 3; i++) pause(retry, "UNAVAILABLE", 0);
  retry.endPause();
  expect(retry.atMs).toBe(0);
  expect(pause(retry, "UNAVAILABLE", 0)).toBe(400);
});
