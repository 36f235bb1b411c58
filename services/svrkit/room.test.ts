/** How many bytes of requests a server keeps, whoever sent them. */
import { afterEach, expect, test } from "vitest";
import { Echo, encodeEchoMessage } from "../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { makeRequestHead } from "../../protos/gen/tricampus/svrkit/v1/frame_codec.ts";
import { Reader, toBytes } from "./codec.ts";
import type { Code } from "./errors.ts";
import { REQUEST_BYTES_MAX } from "./limits.ts";
import { silentLogger } from "./log.ts";
import { type AnswerTo, type Handler, Server } from "./server.ts";

const ANSWERED = "answered";
const PART = 16;
const body = toBytes(encodeEchoMessage, { payload: Buffer.alloc(REQUEST_BYTES_MAX / PART) });
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

/** Asks with a little more than a sixteenth of what may be kept, and tells what has become of each. */
function asker(handle: Handler<{ payload: Uint8Array }, { payload: Uint8Array }>) {
  const server = new Server({ process: "a/echo", campus: "a" }, silentLogger());
  server.add(Echo.echo, handle);
  cleanUps.push(() => server.stop());
  const outcomes: (Code | typeof ANSWERED)[] = [];
  const ask = (priority: number) => {
    const answer: AnswerTo = {
      ...{ isOpen: true, arrivedMs: performance.now(), proved: undefined },
      reply: () => outcomes.push(ANSWERED),
      replyError: (_, { code }) => outcomes.push(code),
    };
    const head = makeRequestHead({ method: Echo.echo.hash, timeoutMs: 60_000, priority });
    server.serve(answer, head, new Reader(body));
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
