/** Tasks offered to M at a rate, whatever becomes of them: open loop, Poisson arrivals. */
import { Echo, type EchoMessage } from "../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { priorityOf, USER_BUCKETS } from "../../services/svrkit/admission/priority.ts";
import { monotonicMs } from "../../services/svrkit/call.ts";
import type { Callee } from "../../services/svrkit/client.ts";
import { rest } from "../../services/svrkit/rest.ts";
import { percentile } from "../percentile.ts";

export interface Kind {
  readonly name: string;
  /** Calls of M by the task, one after the other. */
  readonly calls: number;
  /** How deep each of them goes: M calls itself. */
  readonly depth: number;
}

export interface Offer {
  /** One of them is drawn for each task. */
  readonly kinds: readonly Kind[];
  /** Tasks a second, by the time since the start. */
  readonly rate: (sinceMs: number) => number;
  readonly forMs: number;
  /** Tasks that began before are not counted. */
  readonly warmUpMs: number;
  /** How long calls are waited for; a task succeeds only within TASK_MS. */
  readonly patienceMs: number;
  /** Called when the warm-up is over, and when the last task has begun. */
  readonly mark?: (what: "warm" | "end") => Promise<void>;
}

export interface Task {
  readonly kind: Kind;
  /** Since the start of the offer. */
  readonly atMs: number;
  endMs: number;
  succeeded: boolean;
}

/** Users give up after so long. */
export const TASK_MS = 500;

export async function offerTasks(callee: Callee, offer: Offer): Promise<Task[]> {
  const tasks: Task[] = [];
  const running = new Set<Promise<void>>();
  const startedMs = monotonicMs();
  let dueMs = 0;
  let isWarm = false;
  for (;;) {
    const sinceMs = monotonicMs() - startedMs;
    if (sinceMs >= offer.forMs) break;
    if (!isWarm && sinceMs >= offer.warmUpMs) {
      isWarm = true;
      void offer.mark?.("warm");
    }
    while (dueMs <= sinceMs) {
      const kind = offer.kinds[Math.floor(Math.random() * offer.kinds.length)]!;
      const task: Task = { kind, atMs: dueMs, endMs: 0, succeeded: false };
      tasks.push(task);
      const { patienceMs, warmUpMs } = offer;
      const isCounted = task.atMs >= warmUpMs;
      const done = carryOut(callee, task, { startedMs, patienceMs, isCounted });
      running.add(done);
      void done.then(() => running.delete(done));
      dueMs += (-Math.log(1 - Math.random()) * 1_000) / offer.rate(dueMs);
    }
    await rest(1);
  }
  await offer.mark?.("end");
  await Promise.all(running);
  return tasks;
}

async function carryOut(
  callee: Callee,
  task: Task,
  how: { startedMs: number; patienceMs: number; isCounted: boolean },
): Promise<void> {
  const { calls, depth } = task.kind;
  const { startedMs, patienceMs, isCounted } = how;
  const beganMs = startedMs + task.atMs;
  const priority = priorityOf("message", Math.floor(Math.random() * USER_BUCKETS));
  const options = { deadlineMs: beganMs + patienceMs, priority };
  const request = requestOf(depth, isCounted);
  try {
    for (let i = 0; i < calls; i++) await callee.call(Echo.echo, request, options);
    task.succeeded = monotonicMs() - beganMs <= TASK_MS;
  } catch {
    task.succeeded = false;
  }
  task.endMs = monotonicMs() - startedMs;
}

/** `isCounted`: M counts the work, through the whole chain, as that of tasks that began after the warm-up. */
export function requestOf(depth: number, isCounted: boolean): EchoMessage {
  return { payload: Buffer.from([depth, isCounted ? 1 : 0]) };
}

/** Of which M answers some ten at once: with so many open it never waits for the next ones. */
const OPEN = 64;

/** Longer than any queue that the loads before have left. */
const PATIENCE_MS = 60_000;

/** Keeps M busy for a while. */
export async function saturate(callee: Callee, forMs: number): Promise<void> {
  const request = requestOf(1, false);
  const endMs = monotonicMs() + forMs;
  const options = { priority: 1, timeoutMs: PATIENCE_MS };
  const loop = async () => {
    while (monotonicMs() < endMs) await callee.call(Echo.echo, request, options);
  };
  await Promise.all(Array.from({ length: OPEN }, loop));
}

export function successOf(tasks: readonly Task[]): number {
  return tasks.length === 0 ? 0 : tasks.filter((task) => task.succeeded).length / tasks.length;
}

/** Work in M that stands for tasks which succeeded in that time. */
export function usefulWork(tasks: readonly Task[], fromMs: number, toMs: number): number {
  const counted = tasks.filter(({ endMs }) => endMs >= fromMs && endMs < toMs);
  return workOfSucceeded(counted);
}

/** Work in M that the tasks which succeeded needed. */
export function workOfSucceeded(tasks: readonly Task[]): number {
  return tasks.reduce((sum, { kind, succeeded }) => sum + (succeeded ? workOf(kind) : 0), 0);
}

export function workOf({ calls, depth }: Kind): number {
  return calls * depth;
}

export function latencies(tasks: readonly Task[]): { p50Ms: number; p99Ms: number } {
  const sorted = tasks
    .filter((task) => task.succeeded)
    .map((task) => task.endMs - task.atMs)
    .sort((a, b) => a - b);
  return { p50Ms: percentile(sorted, 0.5), p99Ms: percentile(sorted, 0.99) };
}
