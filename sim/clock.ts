/**
 * Simulated time and simulated processes. One heap of tasks, one virtual clock; a task belongs to a
 * process, and what a task starts (timers, promises) belongs to the same one. All tasks of a dead
 * process are dropped, those of a paused one wait: that is all there is to a crash and a pause.
 *
 * For the time of a run the globals that tell time or wait are ours. After each task the microtasks
 * are run to the end, so that nothing but the heap's order decides what happens next.
 */
import { Random } from "../services/svrkit/seeded-random.ts";

export class Process {
  readonly name: string;
  alive = true;
  /** Added to Date.now: a clock that was set wrong. */
  clockOffsetMs = 0;
  paused = false;
  readonly held: Task[] = [];

  constructor(name: string) {
    this.name = name;
  }
}

export interface Task {
  atMs: number;
  order: number;
  readonly process: Process;
  readonly everyMs: number | undefined;
  /** undefined: cancelled. */
  run: (() => void) | undefined;
}

/** 2026-01-01: what Date.now says when a run begins. */
const EPOCH_MS = 1_767_225_600_000;

const runMicrotasks = (process as unknown as { _tickCallback(): void })._tickCallback.bind(process);

export class Clock {
  nowMs = 0;
  tasks = 0;
  /** Who runs now. */
  current: Process;
  readonly outside = new Process("outside");
  /** Told of what a task throws or leaves rejected: production would end the process. */
  onFailure: (process: Process, error: unknown) => void = () => {};
  readonly #heap: Task[] = [];
  #order = 0;

  constructor() {
    this.current = this.outside;
  }

  /** A task of `process` after a delay. */
  after(process: Process, delayMs: number, run: () => void, everyMs?: number): Task {
    this.#order += 1;
    const atMs = this.nowMs + Math.max(0, delayMs);
    const task: Task = { atMs, order: this.#order, process, everyMs, run };
    this.#push(task);
    return task;
  }

  /** Runs tasks until the time has come or `until` says so. */
  runUntil(endMs: number, until: () => boolean = () => false): void {
    while (!until()) {
      const task = this.#heap[0];
      if (task === undefined || task.atMs > endMs) break;
      this.#pop();
      this.nowMs = Math.max(this.nowMs, task.atMs);
      this.#do(task);
    }
    if (!until()) this.nowMs = endMs;
  }

  #do(task: Task): void {
    const { process, run } = task;
    if (run === undefined || !process.alive) return;
    if (process.paused) {
      process.held.push(task);
      return;
    }
    this.current = process;
    this.tasks += 1;
    try {
      run();
    } catch (error) {
      this.onFailure(process, error);
    }
    runMicrotasks();
    this.current = this.outside;
    if (task.everyMs !== undefined && task.run !== undefined) this.#again(task, task.everyMs);
  }

  #again(task: Task, afterMs: number): void {
    this.#order += 1;
    task.order = this.#order;
    task.atMs = this.nowMs + afterMs;
    this.#push(task);
  }

  /** Runs `act` as the process, its microtasks included. */
  inside(process: Process, act: () => void): void {
    this.after(process, 0, act);
  }

  resume(process: Process): void {
    process.paused = false;
    for (const task of process.held.splice(0)) this.#again(task, 0);
  }

  #push(task: Task): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(task);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(task, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = task;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (let child = 1; child < heap.length; child = at * 2 + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Task, b: Task): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Puts the clock in the place of the globals until the returned function is called. */
export function installGlobals(clock: Clock, seed: number): () => void {
  const random = new Random(seed, "code");
  const timer = (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
    asTimeout(clock.after(clock.current, Math.max(1, ms || 0), () => run(...args)));
  const interval = (run: (...args: unknown[]) => void, ms = 1, ...args: unknown[]) =>
    asTimeout(clock.after(clock.current, ms, () => run(...args), ms));
  const immediate = (run: (...args: unknown[]) => void, ...args: unknown[]) =>
    asTimeout(clock.after(clock.current, 0, () => run(...args)));
  const clear = (timeout: { task?: Task } | undefined) => {
    if (timeout?.task !== undefined) timeout.task.run = undefined;
  };
  const ours: [object, string, unknown][] = [
    [globalThis, "setTimeout", timer],
    [globalThis, "setInterval", interval],
    [globalThis, "setImmediate", immediate],
    [globalThis, "clearTimeout", clear],
    [globalThis, "clearInterval", clear],
    [globalThis, "clearImmediate", clear],
    [performance, "now", () => clock.nowMs],
    [Date, "now", () => Math.floor(EPOCH_MS + clock.nowMs + clock.current.clockOffsetMs)],
    [Math, "random", () => random.next()],
  ];
  const undo = ours.map(([owner, name, value]) => replaceProperty(owner, name, value));
  const onRejection = (error: unknown) => clock.onFailure(clock.current, error);
  process.on("unhandledRejection", onRejection);
  return () => {
    process.off("unhandledRejection", onRejection);
    for (const put of undo) put();
  };
}

function asTimeout(task: Task) {
  const timeout = { task, unref: () => timeout, ref: () => timeout, hasRef: () => true };
  return timeout;
}

/** Replaces a property; returns what puts the old one back. */
function replaceProperty(owner: object, name: string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(owner, name);
  Object.defineProperty(owner, name, { value, configurable: true, writable: true });
  return () => {
    if (before !== undefined) Object.defineProperty(owner, name, before);
    else Reflect.deleteProperty(owner, name);
  };
}
