/** How many bytes of requests a server keeps, whoever sent them, and what it takes from those that come too late. */
import { setImmediate } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import {
  Echo,
  type EchoMessage,
  encodeEchoMessage,
} from "../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { makeRequestHead } from "../../protos/gen/tricampus/svrkit/v1/frame_codec.ts";
import { AdaptiveLevel } from "./admission/adaptive-level.ts";
import type { Admission } from "./admission/admission.ts";
import { EVERYTHING, priorityOf, USER_BUCKETS } from "./admission/priority.ts";
import { Reader, toBytes } from "./codec.ts";
import type { Code } from "./errors.ts";
import { REQUEST_BYTES_MAX } from "./limits.ts";
import { silentLogger } from "./log.ts";
import { type AnswerTo, type Handler, Server, type ServerOptions } from "./server.ts";

const ANSWERED = "answered";
const PART = 16;
const large = toBytes(encodeEchoMessage, { payload: Buffer.alloc(REQUEST_BYTES_MAX / PART) });
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

/** Asks with a little more than a sixteenth of what may be kept, and tells what has become of each. */
function asker(
  handle: Handler<EchoMessage, EchoMessage>,
  { body = large, ...options }: ServerOptions & { body?: Uint8Array } = {},
) {
  const server = new Server({ process: "a/echo", campus: "a" }, silentLogger(), options);
  server.add(Echo.echo, handle);
  cleanUps.push(() => server.stop());
  const outcomes: (Code | typeof ANSWERED)[] = [];
  const ask = (priority: number, waitedMs = 0, request = body) => {
    const answer: AnswerTo = {
      ...{ isOpen: true, arrivedMs: performance.now() - waitedMs, proved: undefined },
      reply: () => outcomes.push(ANSWERED),
      replyError: (_, { code }) => outcomes.push(code),
    };
    const head = makeRequestHead({ method: Echo.echo.hash, timeoutMs: 60_000, priority });
    server.serve(answer, head, new Reader(request));
  };
  return { server, outcomes, ask };
}

test("room: requests whose handlers wait have so many bytes together, those never shed as many more", async () => {
  const { promise: waited, resolve: goOn } = Promise.withResolvers<void>();
  const { outcomes, ask } = asker(async (request) => {
    await waited;
    return { payload: request.payload.subarray(0, 1) };
  });
  for (let i = 1; i < PART; i++) ask(1);
  expect(outcomes).toEqual([]);
  ask(1);
  expect(outcomes).toEqual(["OVERLOADED"]);
  for (let i = 0; i < PART; i++) ask(0);
  expect(outcomes).toEqual(["OVERLOADED"]);
  ask(0);
  expect(outcomes).toEqual(["OVERLOADED", "UNAVAILABLE"]);
  goOn();
  await expect.poll(() => outcomes.length).toBe(2 * PART + 1);
  for (let i = 1; i < PART; i++) ask(1);
  await expect.poll(() => outcomes.length).toBe(3 * PART);
  expect(outcomes.slice(2).every((outcome) => outcome === ANSWERED)).toBe(true);
});

test("room: requests never shed take none of what others may have, until both together have all there is", async () => {
  const { promise: waited, resolve: goOn } = Promise.withResolvers<void>();
  const { outcomes, ask } = asker(async (request) => {
    await waited;
    return { payload: request.payload.subarray(0, 1) };
  });
  // More than others may have, of what both may.
  for (let i = 0; i < PART + 2; i++) ask(0);
  for (let i = 1; i < PART - 2; i++) ask(1);
  expect(outcomes).toEqual([]);
  ask(1);
  expect(outcomes).toEqual(["OVERLOADED"]);
  ask(0);
  expect(outcomes).toEqual(["OVERLOADED", "UNAVAILABLE"]);
  // Who brings nothing finds room even then.
  ask(1, 0, Buffer.alloc(0));
  expect(outcomes.length).toBe(2);
  goOn();
  await expect.poll(() => outcomes.filter((outcome) => outcome === ANSWERED).length).toBe(2 * PART);
});

test("room: requests that wait for their turn have so many bytes together, each until it was its turn", async () => {
  const { server, outcomes, ask } = asker((request) => {
    // Longer than a turn's share: all others wait for their turn.
    const endMs = performance.now() + 12;
    while (performance.now() < endMs);
    return { payload: request.payload.subarray(0, 1) };
  });
  for (let round = 0; round < 2; round++) {
    outcomes.length = 0;
    for (let i = 0; i < PART; i++) ask(1);
    expect(server.callsWaiting).toBe(PART - 1);
    expect(outcomes).toEqual([ANSWERED]);
    ask(1);
    expect(outcomes).toEqual([ANSWERED, "OVERLOADED"]);
    await expect.poll(() => server.callsWaiting, { timeout: 5_000 }).toBe(0);
    expect(outcomes.filter((outcome) => outcome === ANSWERED).length).toBe(PART);
  }
});

test("room: of a turn, calls take what they work later when they begin, and nothing when they are refused", () => {
  let areIn = false;
  const admission: Admission = {
    ...{ laterMs: 5, level: () => EVERYTHING, arrive: () => true, start: () => areIn },
    ...{ expired() {}, ended() {}, passed() {}, worked() {} },
  };
  const { server, outcomes, ask } = asker((request) => request, {
    ...{ admission, body: Buffer.alloc(0) },
  });
  // The clock stands still: a slice is used up by what calls work later alone.
  vi.spyOn(performance, "now").mockReturnValue(1_000);
  for (let i = 0; i < 10; i++) ask(1);
  expect(outcomes).toEqual(Array(10).fill("OVERLOADED"));
  areIn = true;
  for (let i = 0; i < 10; i++) ask(1);
  expect(outcomes.slice(10)).toEqual(Array(4).fill(ANSWERED));
  expect(server.callsWaiting).toBe(6);
});

test("room: calls whose time was over when they were read have waited, and more of them are shed", async () => {
  const thread = { usedMs: 0, idleMs: 0, sheddableEnded: 0, othersEnded: 0 };
  const admission = new AdaptiveLevel({ thread: () => ({ ...thread, usedMs: performance.now() }) });
  const { outcomes, ask } = asker((request) => request, { admission, body: Buffer.alloc(0) });
  const readFor = async (ms: number, how: { waitedMs: number; restMs: number }) => {
    const endMs = performance.now() + ms;
    for (let i = 1; performance.now() < endMs; i++) {
      ask(priorityOf("message", i % USER_BUCKETS), how.waitedMs);
      for (const untilMs = performance.now() + how.restMs; performance.now() < untilMs; );
      await setImmediate();
    }
  };
  await readFor(250, { waitedMs: 0, restMs: 1 });
  expect(admission.level(performance.now())).toBe(EVERYTHING);
  outcomes.length = 0;
  await readFor(250, { waitedMs: 61_000, restMs: 0.1 });
  expect(new Set(outcomes)).toEqual(new Set(["DEADLINE_EXCEEDED"]));
  expect(admission.level(performance.now())).toBeLessThan(EVERYTHING);
});
