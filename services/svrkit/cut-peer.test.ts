/** What a cut fibre costs callers, in virtual time: no machine is so busy that it answers late here. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Echo } from "../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { type Callee, Client } from "./client.ts";
import { silentLogger } from "./log.ts";
import { rest } from "./rest.ts";
import { Server } from "./server.ts";
import { memoryWirePair } from "./transport/memory.ts";
import type { Wire } from "./transport/wire.ts";

const CALLERS = 10;
const PAUSE_MS = 7;
/** An answer takes no time at all: so much longer, and a call has waited for somebody. */
const WAITED_MS = 50;

const clients: Client[] = [];
beforeEach(() => {
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"],
  });
});
afterEach(() => {
  for (const client of clients.splice(0)) client.stop();
  vi.useRealTimers();
});

/** A replica whose fibre can be cut: what is written on either side goes nowhere, and nobody is told. */
class Replica {
  readonly campus: string;
  isCut = false;
  readonly #server: Server;

  constructor(campus: string) {
    this.campus = campus;
    this.#server = new Server({ process: `${campus}/echo`, campus }, silentLogger());
    this.#server.add(Echo.echo, (request) => request);
  }

  readonly dial = async (timeoutMs: number): Promise<Wire> => {
    if (this.isCut) {
      await rest(timeoutMs);
      throw new Error("connecting took too long");
    }
    const [near, far] = memoryWirePair();
    for (const wire of [near, far]) {
      const write = wire.write.bind(wire);
      wire.write = (chunk) => {
        if (!this.isCut) write(chunk);
      };
    }
    this.#server.accept(far);
    return near;
  };
}

function calleeOf(replicas: readonly Replica[]): Callee {
  const client = new Client({ process: "test", campus: "a" });
  clients.push(client);
  const addresses = replicas.map(({ campus, dial }) => ({ campus, label: campus, dial }));
  return client.calleeFrom("echo", addresses, { caller: "test" });
}

test("calls: a cut peer costs each caller one timeout of 250 ms, and no second one while it is cut", async () => {
  const replicas = ["a", "b", "c"].map((campus) => new Replica(campus));
  const callers = Array.from({ length: CALLERS }, () => calleeOf(replicas));
  let isOver = false;
  let calls = 0;
  const running = callers.map(async (callee) => {
    const waitsMs: number[] = [];
    while (!isOver) {
      const startedMs = performance.now();
      await callee.call(Echo.echo, { payload: Buffer.alloc(8) });
      calls += 1;
      const tookMs = performance.now() - startedMs;
      if (tookMs > WAITED_MS) waitsMs.push(tookMs);
      await rest(PAUSE_MS);
    }
    return waitsMs;
  });
  const pass = async (ms: number) => {
    // Small steps: what goes over a wire takes turns of the real event loop.
    for (let at = 0; at < ms; at += 1) {
      await vi.advanceTimersByTimeAsync(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await pass(500);
  const before = calls;
  replicas[0]!.isCut = true;
  await pass(2_500);
  isOver = true;
  await pass(300);
  const waits = await Promise.all(running);
  expect(before).toBeGreaterThan(CALLERS * 30);
  expect(waits.map((waitsMs) => waitsMs.length)).toEqual(callers.map(() => 1));
  expect(Math.max(...waits.flat())).toBeLessThanOrEqual(250);
});
