import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RpcError } from "../../svrkit/errors.ts";
import { Unfinished, type UnfinishedSend } from "./unfinished.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const send = (messageId: string): UnfinishedSend => ({
  message: {
    ...{ messageId, conversationId: "c", clientMessageId: messageId, senderId: "a" },
    ...{ recipientId: "b", text: "x", acceptedAtMs: 1 },
  },
  ticket: new Uint8Array(0),
});

function unfinishedWith(finish: (send: UnfinishedSend) => Promise<void>): Unfinished {
  return new Unfinished({ sizeMax: 2, now: () => Date.now(), finish });
}

test("unfinished: tried with growing pauses until it works", async () => {
  const attempts: number[] = [];
  const start = Date.now();
  const unfinished = unfinishedWith(async () => {
    attempts.push(Math.round((Date.now() - start) / 1_000));
    if (attempts.length < 3) throw new RpcError("UNAVAILABLE", "not yet");
  });
  unfinished.add(send("m1"));
  await vi.advanceTimersByTimeAsync(30_000);
  expect(attempts).toEqual([1, 3, 7]);
  expect(unfinished.size).toBe(0);
});

test("unfinished: what cannot be helped is given up", async () => {
  const unfinished = unfinishedWith(async () => {
    throw new RpcError("UNAUTHENTICATED", "the ticket has expired");
  });
  unfinished.add(send("m1"));
  await vi.advanceTimersByTimeAsync(2_000);
  expect(unfinished.size).toBe(0);
});

test("unfinished: bounded, and each message once", () => {
  const unfinished = unfinishedWith(async () => {});
  for (const id of ["m1", "m1", "m2", "m3"]) unfinished.add(send(id));
  expect(unfinished.size).toBe(2);
});

test("unfinished: nothing runs after the stop", async () => {
  const finish = vi.fn(async () => {});
  const unfinished = unfinishedWith(finish);
  unfinished.add(send("m1"));
  await unfinished.stop();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(finish).not.toHaveBeenCalled();
});
