/**
 * What a process does every second or so, done together: an idle process is woken once for all of it.
 * A duty runs at multiples of its period on the process's own beat, so that those of 500, 1,000 and
 * 2,000 ms meet.
 */
import { monotonicMs } from "./call.ts";

interface Duty {
  readonly periodMs: number;
  readonly run: () => void;
  dueMs: number;
}

export class Beat {
  readonly #duties = new Set<Duty>();
  /** The processes of a platform start together and shall not wake together. */
  readonly #offsetMs = Math.random() * 1_000;
  #timer: NodeJS.Timeout | undefined;
  #wakesMs = Number.POSITIVE_INFINITY;

  /** Calls `run`, which must not throw, until what is returned is called. Keeps no process alive. */
  every(periodMs: number, run: () => void): () => void {
    const duty = { periodMs, run, dueMs: this.#next(periodMs, monotonicMs()) };
    this.#duties.add(duty);
    if (duty.dueMs < this.#wakesMs) this.#schedule();
    return () => {
      this.#duties.delete(duty);
      if (this.#duties.size === 0) this.#rest();
    };
  }

  #next(periodMs: number, nowMs: number): number {
    const beats = Math.floor((nowMs - this.#offsetMs) / periodMs) + 1;
    return this.#offsetMs + beats * periodMs;
  }

  #wake(): void {
    this.#timer = undefined;
    // A timer may be a fraction of a millisecond early.
    const nowMs = monotonicMs() + 1;
    for (const duty of this.#duties) {
      if (duty.dueMs > nowMs) continue;
      duty.dueMs = this.#next(duty.periodMs, nowMs);
      duty.run();
    }
    this.#schedule();
  }

  #schedule(): void {
    this.#rest();
    for (const { dueMs } of this.#duties) this.#wakesMs = Math.min(this.#wakesMs, dueMs);
    if (this.#wakesMs === Number.POSITIVE_INFINITY) return;
    const afterMs = Math.max(1, Math.ceil(this.#wakesMs - monotonicMs()));
    this.#timer = setTimeout(() => this.#wake(), afterMs);
    this.#timer.unref();
  }

  #rest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#wakesMs = Number.POSITIVE_INFINITY;
  }
}

/** This process's. */
export const processBeat = new Beat();
