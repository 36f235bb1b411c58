import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RpcError } from "../services/svrkit/errors.ts";
import { WhereElse } from "./where-else.ts";

beforeEach(() => vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => vi.useRealTimers());

const url = "https://chat.example";
const answers: (() => Promise<unknown>)[] = [
  () => Promise.reject(new RpcError("UNIMPLEMENTED", "a campus that is not upgraded yet")),
  async () => ({
    endpoints: [
      { campus: "a", url, closed: true },
      { campus: "b", url, closed: false },
    ],
    refreshMs: 60_000,
  }),
];

test("where else: asked soon, then now and then; closed campuses are left out; failures are waited out", async () => {
  const known: string[][] = [];
  const askedAtMs: number[] = [];
  const whereElse = new WhereElse({
    request: (() => {
      askedAtMs.push(performance.now());
      return answers[Math.min(askedAtMs.length, answers.length) - 1]!();
    }) as never,
    setEndpoints: (endpoints) => known.push(endpoints.map(({ campus }) => campus)),
  });
  const startMs = performance.now();
  for (let i = 0; i < 1_500; i++) {
    vi.advanceTimersByTime(1_000);
    whereElse.tick(performance.now());
    await Promise.resolve();
    await Promise.resolve();
  }
  expect(askedAtMs[0]! - startMs).toBeLessThanOrEqual(11_000);
  expect(askedAtMs[1]! - askedAtMs[0]!).toBeGreaterThan(290_000);
  expect(askedAtMs[2]! - askedAtMs[1]!).toBeLessThanOrEqual(61_000);
  expect(askedAtMs.length).toBeGreaterThan(12);
  expect(known[0]).toEqual(["b"]);
});
