/**
 * Hedges: who has not heard enough after a while asks a second replica. One timer looks after all
 * that wait, since nearly every one of them is done long before its time.
 */
export interface Hedged {
  /** Nothing is waited for any more. */
  readonly settled: boolean;
  hedge(): void;
}

const TICK_MS = 5;

export class Hedges {
  /** In the order of their times, nearly: a longer one in front delays those behind it a little. */
  #waiting: { dueMs: number; hedged: Hedged }[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** Calls `hedge` about `afterMs` from `nowMs` on, unless it is settled by then. */
  add(hedged: Hedged, nowMs: number, afterMs: number): void {
    this.#waiting.push({ dueMs: nowMs + afterMs, hedged });
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  /** A lone one that is settled needs no look at it: an idle replica sleeps on. */
  settle(hedged: Hedged): void {
    if (this.#waiting.length === 1 && this.#waiting[0]!.hedged === hedged) this.stop();
  }

  #tick(): void {
    const nowMs = performance.now();
    const waiting = this.#waiting;
    let gone = 0;
    for (; gone < waiting.length; gone++) {
      const { hedged, dueMs } = waiting[gone]!;
      if (hedged.settled) continue;
      if (dueMs > nowMs) break;
      hedged.hedge();
    }
    this.#waiting = waiting.slice(gone);
    if (this.#waiting.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#waiting = [];
  }
}
