/**
 * The service M in a process of its own: a fixed amount of work a call, on one core. The amount is CPU time and
 * not a number of rounds: how long rounds take follows from what else the machine does, and from how they
 * were compiled just then, and all loads are multiples of what M can do. The first byte of a request says
 * how deep the chain of calls is: above one, M calls itself, over its own door, before it answers. The
 * second says whether the work is counted. Started with "after-wait" it works only after it has waited for
 * something else, as most handlers do. Takes orders from its parent: which strategy to follow from now on.
 */
import { Echo } from "../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import type { Admission } from "../../services/svrkit/admission/admission.ts";
import { forward } from "../../services/svrkit/call.ts";
import { type Callee, Client } from "../../services/svrkit/client.ts";
import { silentLogger } from "../../services/svrkit/log.ts";
import { rest } from "../../services/svrkit/rest.ts";
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
  /** By M's clock. */
  readonly atMs: number;
}

/** What M waits for takes so long. */
const WAIT_MS = 1;
const worksAfterWait = process.argv.includes("after-wait");

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

  ended(nowMs: number): void {
    this.#now.ended(nowMs);
  }

  expired(waitedMs: number): void {
    this.#now.expired(waitedMs);
  }

  passed(): void {
    this.#now.passed();
  }

  worked(sheddableMs: number, otherMs: number): void {
    this.#now.worked(sheddableMs, otherMs);
  }

  get laterMs(): number {
    return this.#now.laterMs;
  }
}

/** Some tens of microseconds: a look at the CPU time used costs one or two. */
const ROUNDS_A_LOOK = 20_000;
let sink = 0;

function work(): void {
  const endMs = cpuMs() + WORK_MS;
  while (cpuMs() < endMs) sink = rounds(sink);
}

/** The sum lives in a register: in a variable of the module each round would wait for memory. */
function rounds(from: number): number {
  let sum = from;
  for (let i = 0; i < ROUNDS_A_LOOK; i++) sum = (Math.imul(sum, 1_664_525) + 1_013_904_223) | 0;
  return sum;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

const admission = new Switched();
const server = new Server(identity, silentLogger(), { admission });
const client = new Client(identity);
let itself: Callee;
let counted = 0;
server.add(Echo.echo, async (request, call) => {
  if (worksAfterWait) await rest(WAIT_MS);
  work();
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
  process.send?.({ started, counted, hadMs, atMs: performance.now() } satisfies Counts);
});
process.on("disconnect", () => process.exit(0));
process.send?.({ port });
