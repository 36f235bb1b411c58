/** The two kinds of load: closed loops (so many in flight) and an open one (so many a second). */
import { rest } from "../../services/svrkit/rest.ts";
import { percentile } from "../percentile.ts";
import type { Span } from "./slowest.ts";
import { machineMs } from "./stalls.ts";

export interface Latencies {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly p9999Ms: number;
  readonly maxMs: number;
}

export interface Measured extends Latencies {
  readonly operations: number;
  readonly failed: number;
  /** In which the operations began. */
  readonly seconds: number;
  readonly slowest: Span;
}

interface Run {
  readonly warmUpMs: number;
  readonly seconds: number;
  /** Called after the warm-up; operations count that begin, or are due, when it has resolved. */
  readonly onWarm: () => Promise<void>;
}

/** Notes what operations took that begin while it counts. */
class Tally {
  readonly #seconds: number;
  readonly #latencies: number[] = [];
  #fromMs = Number.POSITIVE_INFINITY;
  #lastMs = 0;
  #failed = 0;
  #slowest: Span = { startMs: 0, endMs: 0 };

  constructor(run: Run) {
    this.#seconds = run.seconds;
    void rest(run.warmUpMs)
      .then(run.onWarm)
      .then(() => {
        this.#fromMs = machineMs();
      });
  }

  /** The time is over; on a machine that is too busy to end anything in it, one operation is waited for. */
  isOver(nowMs: number): boolean {
    const ended = this.#latencies.length + this.#failed;
    return nowMs >= this.#fromMs + this.#seconds * 1_000 && ended > 0;
  }

  done(startMs: number, endMs: number): void {
    if (startMs < this.#fromMs) return;
    this.#lastMs = startMs;
    this.#latencies.push(endMs - startMs);
    if (endMs - startMs > this.#slowest.endMs - this.#slowest.startMs)
      this.#slowest = { startMs, endMs };
  }

  failed(startMs: number): void {
    if (startMs >= this.#fromMs) this.#failed += 1;
  }

  measured(): Measured {
    const sorted = Float64Array.from(this.#latencies).sort();
    return {
      operations: sorted.length,
      failed: this.#failed,
      p50Ms: percentile(sorted, 0.5),
      p99Ms: percentile(sorted, 0.99),
      p999Ms: percentile(sorted, 0.999),
      p9999Ms: percentile(sorted, 0.9999),
      maxMs: percentile(sorted, 1),
      seconds: Math.max(this.#seconds, (this.#lastMs - this.#fromMs) / 1_000),
      slowest: this.#slowest,
    };
  }
}

/** Keeps so many operations in flight. */
export async function closedLoop(
  run: Run & { readonly inFlight: number; readonly operate: () => Promise<unknown> },
): Promise<Measured> {
  const tally = new Tally(run);
  const loop = async () => {
    for (let startMs = machineMs(); !tally.isOver(startMs); startMs = machineMs()) {
      try {
        await run.operate();
        tally.done(startMs, machineMs());
      } catch {
        tally.failed(startMs);
      }
    }
  };
  await Promise.all(Array.from({ length: run.inFlight }, loop));
  return tally.measured();
}

/** Starts an operation whenever one is due, whatever became of those before: latency from when it was due. */
export async function openLoop(
  run: Run & { readonly ratePerSecond: number; readonly operate: () => Promise<unknown> },
): Promise<Measured> {
  const tally = new Tally(run);
  const running = new Set<Promise<void>>();
  let dueMs = machineMs();
  while (!tally.isOver(dueMs)) {
    for (const nowMs = machineMs(); dueMs <= nowMs && !tally.isOver(dueMs); ) {
      const own = dueMs;
      const one: Promise<void> = run
        .operate()
        .then(
          () => tally.done(own, machineMs()),
          () => tally.failed(own),
        )
        .finally(() => running.delete(one));
      running.add(one);
      dueMs += 1_000 / run.ratePerSecond;
    }
    await rest(1);
  }
  await Promise.all(running);
  return tally.measured();
}
