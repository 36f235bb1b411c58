/**
 * The service M in a process of its own: a fixed amount of work a call, on one core. The first byte of a
 * request says how deep the chain of calls is: above one, M calls itself, over its own door, before it
 * answers. The second says whether the work is counted. Takes orders from its parent: which strategy to
 * follow from now on.
 */
import { Echo } from "../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import type { Admission } from "../../services/svrkit/admission/admission.ts";
import { forward, monotonicMs } from "../../services/svrkit/call.ts";
import { type Callee, Client } from "../../services/svrkit/client.ts";
import { silentLogger } from "../../services/svrkit/log.ts";
import { Server } from "../../services/svrkit/server.ts";
import { requestOf } from "./load.ts";
import { admissionOf, type Strategy } from "./strategies.ts";

const WORK_MS = 1;

export interface Counts {
  /** Calls whose work began. */
  readonly started: number;
  /** Work that began for tasks that are counted. */
  readonly counted: number;
  /** What M had of its core: what it used, and what it left idle. The rest others took. */
  readonly hadMs: number;
  /** CPU time of some calls' work alone, and how many those were: how fast the core is just now. */
  readonly workMs: number;
  readonly works: number;
}
const identity = { process: "bench/m", campus: "b" };

/** The admission of the strategy that is in force. */
class Switched implements Admission {
  #now: Admission = admissionOf("none");
  started = 0;

  become(strategy: Strategy): void {
    this.#now = admissionOf(strategy);
  }

  level(nowMs: number): number {
    return this.#now.level(nowMs);
  }

  arrive(priority: number, nowMs: number): boolean {
    return this.#now.arrive(priority, nowMs);
  }

  start(priority: number, waitedMs: number, nowMs: number): boolean {
    const isIn = this.#now.start(priority, waitedMs, nowMs);
    if (isIn) this.started += 1;
    return isIn;
  }

  worked(ms: number): void {
    this.#now.worked(ms);
  }
}

let sink = 0;

function work(rounds: number): void {
  for (let i = 0; i < rounds; i++) sink = (Math.imul(sink, 1_664_525) + 1_013_904_223) | 0;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** Rounds that take about WORK_MS here, by the fastest of several tries. */
function calibrate(): number {
  let fastest = Number.POSITIVE_INFINITY;
  const rounds = 2_000_000;
  for (let i = 0; i < 10; i++) {
    const startedMs = monotonicMs();
    work(rounds);
    fastest = Math.min(fastest, monotonicMs() - startedMs);
  }
  return Math.round((rounds * WORK_MS) / fastest);
}

const rounds = calibrate();
const admission = new Switched();
const server = new Server(identity, silentLogger(), { admission });
const client = new Client(identity);
let itself: Callee;
let workMs = 0;
let works = 0;
let counted = 0;
server.add(Echo.echo, async (request, call) => {
  const before = cpuMs();
  work(rounds);
  workMs += cpuMs() - before;
  works += 1;
  const [depth, isCounted] = request.payload;
  if (isCounted === 1) counted += 1;
  if (depth! <= 1) return request;
  return itself.call(Echo.echo, requestOf(depth! - 1, isCounted === 1), forward(call));
});
const port = await server.listen({ host: "127.0.0.1", port: 0 });
itself = client.callee("m", [{ campus: "b", host: "127.0.0.1", port }], { caller: "m" });
process.on("message", (strategy: Strategy | "count") => {
  if (strategy !== "count") admission.become(strategy);
  const hadMs = cpuMs() + performance.nodeTiming.idleTime;
  const { started } = admission;
  process.send?.({ started, counted, hadMs, workMs, works } satisfies Counts);
});
process.on("disconnect", () => process.exit(0));
process.send?.({ port });
