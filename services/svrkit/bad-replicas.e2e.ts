/**
 * Three replicas in processes of their own, of which one goes bad, and callers in open loop: Poisson
 * arrivals, latency from the time at which a call was due. Whatever is wrong with one replica costs
 * callers less than 1 % errors, and no 99th percentile above a second.
 */
import { type ChildProcess, fork } from "node:child_process";
import { setTimeout as rest } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { Echo } from "../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { priorityOf } from "./admission/priority.ts";
import { type Callee, Client } from "./client.ts";
import { Random } from "./seeded-random.ts";
import { BreakableProxy } from "./testing/breakable-proxy.ts";
import type { Badness } from "./testing/replica-process.ts";

const PER_SECOND = 200;
const BEFORE_MS = 2_000;
const BAD_MS = 10_000;
const TIMEOUT_MS = 5_000;
const PRIORITY = priorityOf("message", 64);

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

interface Replica {
  readonly process: ChildProcess;
  readonly port: number;
  become(badness: Badness): void;
  /** Calls so far. */
  served(): Promise<number>;
}

async function startReplica(campus: string): Promise<Replica> {
  const child = fork(new URL("testing/replica-process.ts", import.meta.url), [campus]);
  cleanUps.push(() => child.kill("SIGKILL"));
  const told = () =>
    new Promise<number>((resolve) =>
      child.once("message", (message) => resolve(message as number)),
    );
  const port = await told();
  return {
    process: child,
    port,
    become: (badness) => child.send(badness),
    served: () => {
      const served = told();
      child.send({});
      return served;
    },
  };
}

function calleeOf(ports: readonly number[]): Callee {
  const client = new Client({ process: "test", campus: "a" });
  cleanUps.push(() => client.stop());
  const addresses = ports.map((port, i) => ({ campus: "abc"[i]!, host: "127.0.0.1", port }));
  return client.callee("echo", addresses, { caller: "test" });
}

/** Calls for so long; resolves when all have come back. */
async function load(callee: Callee, { perSecond, forMs }: { perSecond: number; forMs: number }) {
  const random = new Random(1, "arrivals");
  const latenciesMs: number[] = [];
  const errors: string[] = [];
  const open: Promise<void>[] = [];
  const startMs = performance.now();
  for (let dueMs = startMs; dueMs < startMs + forMs; ) {
    dueMs += (-1_000 / perSecond) * Math.log(1 - random.next());
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await rest(waitMs);
    const at = dueMs;
    const options = { timeoutMs: TIMEOUT_MS, priority: PRIORITY };
    const call = callee.call(Echo.echo, { payload: Buffer.alloc(64) }, options);
    const ended = call.then(
      () => void latenciesMs.push(performance.now() - at),
      (error: Error) => void errors.push(error.message),
    );
    open.push(ended);
  }
  await Promise.all(open);
  const calls = latenciesMs.length + errors.length;
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  return {
    calls,
    errors,
    errorShare: errors.length / calls,
    p99Ms: sorted[Math.floor(0.99 * sorted.length)] ?? Number.POSITIVE_INFINITY,
    worstMs: sorted.at(-1) ?? Number.POSITIVE_INFINITY,
  };
}

/** Callers of campus a, whose own replica goes bad after a while. */
async function callersWhile(ports: readonly number[], goBad: () => unknown) {
  const callee = calleeOf(ports);
  const timer = setTimeout(goBad, BEFORE_MS);
  cleanUps.push(() => clearTimeout(timer));
  return load(callee, { perSecond: PER_SECOND, forMs: BEFORE_MS + BAD_MS });
}

function expectUnhurt(result: Awaited<ReturnType<typeof load>>): void {
  expect(result.calls).toBeGreaterThan(1_000);
  expect(result.errorShare, result.errors.slice(0, 3).join("; ")).toBeLessThan(0.01);
  expect(result.p99Ms).toBeLessThan(1_000);
  const { errors, p99Ms, worstMs } = result;
  const name = expect.getState().currentTestName;
  process.stdout.write(`${name}: ${errors.length} errors, p99 ${Math.round(p99Ms)} ms, worst ${Math.round(worstMs)} ms
`);
}

const startAll = () => Promise.all(["a", "b", "c"].map(startReplica));
const portsOf = (replicas: readonly Replica[]) => replicas.map(({ port }) => port);

test("a killed replica: the two others take its load evenly, and no call fails", async () => {
  const replicas = await startAll();
  const [own, ...others] = replicas;
  const result = await callersWhile(portsOf(replicas), () => own!.process.kill("SIGKILL"));
  expectUnhurt(result);
  expect(result.errors).toEqual([]);
  const served = await Promise.all(others.map((replica) => replica.served()));
  const total = served[0]! + served[1]!;
  expect(total).toBeGreaterThan((PER_SECOND * BAD_MS) / 2_000);
  for (const calls of served) {
    expect(calls / total).toBeGreaterThan(0.45);
    expect(calls / total).toBeLessThan(0.55);
  }
});

test("a slow replica: each of its answers takes 3 s", async () => {
  const replicas = await startAll();
  const goBad = () => replicas[0]!.become({ slowMs: 3_000 });
  expectUnhurt(await callersWhile(portsOf(replicas), goBad));
});

test("a black-holed replica: it is there and says nothing", async () => {
  const replicas = await startAll();
  expectUnhurt(await callersWhile(portsOf(replicas), () => replicas[0]!.process.kill("SIGSTOP")));
});

test("a half-open connection: both ends believe in it, and nothing passes", async () => {
  const [own, ...others] = await startAll();
  const proxy = await BreakableProxy.open(own!.port);
  cleanUps.push(() => proxy.close());
  const ports = [proxy.port, ...portsOf(others)];
  expectUnhurt(await callersWhile(ports, () => proxy.breakOpenOnes()));
});

test("a full queue: others ask the replica for ten times what it can do", async () => {
  const replicas = await startAll();
  const [own] = replicas;
  let flood: Promise<unknown> | undefined;
  const goBad = () => {
    own!.become({ workMs: 20 });
    flood = load(calleeOf([own!.port]), { perSecond: 500, forMs: BAD_MS });
  };
  expectUnhurt(await callersWhile(portsOf(replicas), goBad));
  await flood;
});
