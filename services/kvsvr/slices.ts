/**
 * Long work in slices, so that everybody else has a turn of the event loop in between. A slice is short
 * while the others need little, and no longer than theirs when they need much, so they keep half.
 */
import { monotonicMs } from "../svrkit/call.ts";

const SLICE_MS_MIN = 3;
const SLICE_MS_MAX = 10;

export class Slices {
  #startedMs = monotonicMs();
  #sliceMs = SLICE_MS_MIN;
  /** Time in the slices that are over, and time that the others' turns between them took. */
  workedMs = 0;
  waitedMs = 0;

  /** The slice should end: see `next`. */
  get isOver(): boolean {
    return monotonicMs() - this.#startedMs >= this.#sliceMs;
  }

  /** Ends the slice; resolves when everybody else had a turn. */
  async next(): Promise<void> {
    this.end();
    const endedMs = monotonicMs();
    await new Promise((resolve) => setImmediate(resolve));
    this.#startedMs = monotonicMs();
    const othersMs = this.#startedMs - endedMs;
    this.waitedMs += othersMs;
    this.#sliceMs = Math.min(SLICE_MS_MAX, Math.max(SLICE_MS_MIN, othersMs));
  }

  end(): void {
    this.workedMs += monotonicMs() - this.#startedMs;
  }
}
