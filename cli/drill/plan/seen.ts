/**
 * What a drill has seen as far as it may have to stop for it: totals, the last word of each process, and its last
 * seconds. However long a drill is, a look at it costs the same. Pure but for its memory.
 */
import type { Sample } from "./evidence.ts";

/** How long a process has to be too busy. */
export const BUSY_WINDOW_MS = 3_000;

export class Seen {
  /** By process: its last seconds, the newest at the end. */
  readonly #recent = new Map<string, Sample[]>();
  #blockedAtMs = Number.POSITIVE_INFINITY;
  #failuresBefore = 0;
  #failuresSince = 0;
  #lastAtMs: number | undefined;

  /** Told before anything that was seen later than that is added. */
  blocked(atMs: number): void {
    this.#blockedAtMs = atMs;
  }

  /** A process's in the order of time. */
  add(sample: Sample): void {
    const recent = this.#recent.get(sample.process) ?? [];
    const before = recent.at(-1);
    if (before === undefined) this.#recent.set(sample.process, recent);
    else this.#count(before, sample);
    recent.push(sample);
    while (recent[0]!.atMs < sample.atMs - BUSY_WINDOW_MS) recent.shift();
    this.#lastAtMs = sample.atMs;
  }

  #count(before: Sample, sample: Sample): void {
    const isNew = sample.uptimeMs < before.uptimeMs;
    const failures = isNew ? sample.failures : sample.failures - before.failures;
    if (sample.atMs > this.#blockedAtMs) this.#failuresSince += failures;
    else this.#failuresBefore += failures;
  }

  /** Requests of clients that failed until the block was set, and since. */
  get failures() {
    return { before: this.#failuresBefore, since: this.#failuresSince };
  }

  /** When anything was seen last. */
  get lastAtMs(): number | undefined {
    return this.#lastAtMs;
  }

  recent(process: string): readonly Sample[] {
    return this.#recent.get(process) ?? [];
  }
}
