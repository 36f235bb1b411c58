import { afterEach, beforeEach, expect, test } from "vitest";
import { type Place, Receiver } from "./receiver.ts";

const LIMITS = { attempts: 3, pauseFirstMs: 2, pauseLastMs: 60_000, waitMaxMs: 60_000 };
const DOWN = { why: "status 503", failures: 0, isAlone: false };
/** Rests for half a minute. */
const ALONE = { why: "status 500", failures: 30, isAlone: true };

let stopping: AbortController;
let receiver: Receiver;
beforeEach(() => {
  stopping = new AbortController();
  const { signal: stopped } = stopping;
  receiver = new Receiver({ limits: LIMITS, stopped, onTrouble: () => {}, random: () => 0 });
});
afterEach(() => stopping.abort(new Error("stopping")));

const [one, other, third, late]: Place[] = [{}, {}, {}, {}];

test("receiver: who is under way is nobody's predecessor in the line", async () => {
  await receiver.failed(other!, DOWN);
  expect(receiver.mayTry(other!)).toBe(true);
  expect(receiver.mayTry(one!)).toBe(false);
  receiver.answered(other!);
  expect(receiver.mayTry(one!)).toBe(true);
  await receiver.failed(late!, DOWN);
  expect(receiver.mayTry(late!)).toBe(true);
});

test("receiver: who rests since it alone failed is nobody's predecessor either", async () => {
  await receiver.failed(other!, DOWN);
  expect(receiver.mayTry(other!)).toBe(true);
  expect(receiver.mayTry(one!)).toBe(false);
  await receiver.failed(other!, DOWN);
  expect(receiver.mayTry(one!)).toBe(true);
  receiver.leave(other!);
  // Of a request that was under way before.
  receiver.answered(third!);
  const resting = expect(receiver.failed(one!, ALONE)).rejects.toThrow("stopping");
  await receiver.failed(late!, DOWN);
  expect(receiver.mayTry(late!)).toBe(true);
  stopping.abort(new Error("stopping"));
  await resting;
});
