/**
 * What can make an operation slow in one process, noted with its time, so that the slowest operation of
 * a run can be held against it: syncs of the log, commits of a checkpoint, the garbage collector, turns
 * of the event loop, and waiting for a CPU (which the kernel counts for each thread).
 *
 * Times are the machine's monotonic clock, the same for all processes.
 */
import { readFileSync } from "node:fs";
import { PerformanceObserver } from "node:perf_hooks";

export interface Stall {
  readonly cause: string;
  readonly startMs: number;
  readonly endMs: number;
  /** Of the time from start to end, so much was lost to the cause. */
  readonly ms: number;
}

/** Shorter ones explain nothing that is looked for here. */
const STALL_MS_MIN = 5;
/** The oldest are forgotten: about an hour of a busy process. */
const STALLS_MAX = 50_000;
const TICK_MS = 10;

const clockOffsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** The machine's monotonic clock. */
export function machineMs(): number {
  return performance.now() + clockOffsetMs;
}

export class StallRecorder {
  #stalls: Stall[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #collections: PerformanceObserver;
  #tickMs = machineMs();
  #waitedMs = waitedForCpuMs();
  /** Collector's time since the last tick: it is no turn of anybody else. */
  #collectedMs = 0;

  constructor() {
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
    this.#collections = new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries()) {
        this.#collectedMs += duration;
        const startMs = startTime + clockOffsetMs;
        this.add({ cause: "garbage collection", startMs, endMs: startMs + duration, ms: duration });
      }
    });
    this.#collections.observe({ entryTypes: ["gc"] });
  }

  add(stall: Stall): void {
    if (stall.ms < STALL_MS_MIN) return;
    this.#stalls.push(stall);
    if (this.#stalls.length > STALLS_MAX) this.#stalls = this.#stalls.slice(STALLS_MAX / 2);
  }

  async timed<T>(cause: string, run: () => Promise<T>): Promise<T> {
    const startMs = machineMs();
    try {
      return await run();
    } finally {
      const endMs = machineMs();
      this.add({ cause, startMs, endMs, ms: endMs - startMs });
    }
  }

  /** What was noted since the last call. */
  take(): Stall[] {
    const taken = this.#stalls;
    this.#stalls = [];
    return taken;
  }

  /** A late tick: the loop was in one turn, or the kernel ran somebody else. */
  #tick(): void {
    const startMs = this.#tickMs;
    const endMs = machineMs();
    this.#tickMs = endMs;
    const waitedMs = waitedForCpuMs() - this.#waitedMs;
    this.#waitedMs += waitedMs;
    const lateMs = endMs - startMs - TICK_MS;
    const turnMs = lateMs - waitedMs - this.#collectedMs;
    this.#collectedMs = 0;
    if (lateMs < STALL_MS_MIN) return;
    this.add({ cause: "waiting for a CPU", startMs, endMs, ms: Math.min(lateMs, waitedMs) });
    this.add({ cause: "long turns of the event loop", startMs, endMs, ms: turnMs });
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#collections.disconnect();
  }
}

/** How long the main thread was ready to run and did not; 0 where the kernel does not count it. */
function waitedForCpuMs(): number {
  try {
    return Number(readFileSync("/proc/self/schedstat", "utf8").split(" ")[1]) / 1e6;
  } catch {
    return 0;
  }
}
