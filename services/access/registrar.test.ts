import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  type Connection,
  encodeRegisterConnectionsRequest,
  type RegisterConnectionsRequest,
} from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import type { Callee } from "../svrkit/client.ts";
import { toBytes } from "../svrkit/codec.ts";
import { FRAME_BYTES_MAX } from "../svrkit/limits.ts";
import { Registrar } from "./registrar.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

interface Told {
  readonly report: RegisterConnectionsRequest;
  readonly timeoutMs: number;
}

/** One router that takes so long for a report. */
function open(connected: readonly Connection[], takesMs: number) {
  const told: Told[] = [];
  const router = {
    peers: [{}],
    call: async (
      _: unknown,
      report: RegisterConnectionsRequest,
      options: { timeoutMs: number },
    ) => {
      told.push({ report, timeoutMs: options.timeoutMs });
      const { timeoutMs } = options;
      await new Promise((resolve) => setTimeout(resolve, Math.min(takesMs, timeoutMs)));
      if (takesMs > timeoutMs) throw new Error("no answer in time");
    },
  } as unknown as Callee;
  const facts = { router, access: "a/access#1", campus: "a", complete: () => [...connected] };
  return { told, registrar: new Registrar(facts) };
}

const people = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ number: i, userId: `u${i}`, device: "phone" }));

test("registrar: a router has the longer for a report the more it says", async () => {
  const { told, registrar } = open(people(60_000), 4_000);
  await vi.advanceTimersByTimeAsync(9_000);
  expect(told.map(({ report }) => report.online.length)).toEqual([60_000]);
  expect(told[0]!.timeoutMs).toBeGreaterThan(4_000);
  registrar.stop();
});

test("registrar: what is too much for one frame is said in parts, none of which is the whole truth", async () => {
  const { told, registrar } = open(people(250_000), 1);
  await vi.advanceTimersByTimeAsync(9_000);
  const reports = told.map(({ report }) => report);
  expect(reports.length).toBeGreaterThan(1);
  expect(reports.map(({ complete }) => complete)).not.toContain(true);
  const encoded = reports.map((report) => toBytes(encodeRegisterConnectionsRequest, report));
  for (const { length } of encoded) expect(length).toBeLessThan(FRAME_BYTES_MAX);
  const numbers = reports.flatMap(({ online }) => online.map(({ number }) => number));
  expect(numbers).toHaveLength(250_000);
  expect(new Set(numbers).size).toBe(250_000);
  registrar.stop();
});

test("registrar: who connects waits half a second for a router that takes long, and is told to it then", async () => {
  const { told, registrar } = open(people(60_000), 4_000);
  const known: number[] = [];
  const connect = (number: number) =>
    registrar.online({ number, userId: "x", device: "phone" }, () => known.push(number));
  await vi.advanceTimersByTimeAsync(100);
  connect(70_000);
  await vi.advanceTimersByTimeAsync(300);
  expect(known).toEqual([]);
  await vi.advanceTimersByTimeAsync(200);
  connect(70_001);
  expect(known).toEqual([70_000, 70_001]);
  await vi.advanceTimersByTimeAsync(4_000);
  expect(told[1]!.report.online.map(({ number }) => number)).toEqual([70_000, 70_001]);
  registrar.stop();
});

test("registrar: whom a router learns of late is told so once more", async () => {
  const connected = people(1);
  const router = { isDown: true };
  const callee = {
    peers: [{}],
    call: async () => {
      if (router.isDown) throw new Error("down");
    },
  } as unknown as Callee;
  const facts = { router: callee, access: "a/access#1", campus: "a", complete: () => connected };
  const registrar = new Registrar(facts);
  await vi.advanceTimersByTimeAsync(100);
  let known = 0;
  registrar.online(connected[0]!, () => {
    known += 1;
  });
  expect(known).toBe(1);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(known).toBe(1);
  router.isDown = false;
  await vi.advanceTimersByTimeAsync(20_000);
  expect(known).toBe(2);
  registrar.stop();
});
