/**
 * Whether one more send can be answered in time. Those that are open go on as fast as they end now, so with
 * `open` of them the next one takes about open / pace: when that is longer than a sender is to wait, it is
 * refused at once, and costs nothing. Without this, more sends than the store can take all end after
 * their senders have given up, and nobody's is answered.
 *
 * The store may be slow without being asked for too much, and so may this process: as long as sends end
 * quickly, as many are open as come.
 */
const WINDOW_MS = 200;
/** Sends that take longer on average are slow ... */
const SLOW_MS = 250;
/** ... and then only so many are open as end within this time: less than half of what a client waits. */
const WAIT_MS_MAX = 600;
/** So many are always open, or nothing would ever be known of the pace. */
const OPEN_MIN = 32;
/** And so many at most, before it is known how slow they are. */
const OPEN_MAX = 2_000;
/** Those that are the first to be shed are taken while no more than this part of what may be open is ... */
const LAST_SHARE = 1 / 2;
/** ... and beside all others as long as so few of them are open: an overload may last for days. */
const LAST_MIN = OPEN_MIN / 8;
/** Part of the new in what is remembered. */
const LEARNING = 0.5;

export class Pace {
  #open = 0;
  #lastOpen = 0;
  /** Of those that are open: they wait for somebody else, which says nothing of how fast sends end. */
  #elsewhere = 0;
  #windowStartMs = 0;
  #ended = 0;
  #tookMs = 0;
  /** Sends that end a millisecond, and how long one takes. */
  #pace = 0;
  #meanMs = 0;

  get open(): number {
    return this.#open;
  }

  /**
   * false: refuse it. Every send taken is told to have ended. `isLast`: others come first, since its sender was told
   * that nobody answered. If it were as good as a new one, there would be more and more such under an overload that
   * lasts, and no sender would hear in time.
   */
  take(nowMs: number, isLast: boolean): boolean {
    if (nowMs - this.#windowStartMs >= WINDOW_MS) this.#endWindow(nowMs);
    const isSlow = this.#meanMs > SLOW_MS;
    if (this.#open >= OPEN_MAX) return false;
    const openMax = Math.max(OPEN_MIN, this.#pace * WAIT_MS_MAX) * (isLast ? LAST_SHARE : 1);
    const isOneOfFew = isLast && this.#lastOpen < LAST_MIN;
    if (isSlow && this.#open >= openMax && !isOneOfFew) return false;
    this.#open += 1;
    if (isLast) this.#lastOpen += 1;
    return true;
  }

  /** A send that is open goes elsewhere, and comes back. */
  leave(): void {
    this.#elsewhere += 1;
  }

  back(): void {
    this.#elsewhere -= 1;
  }

  /** `tookMs`: without the time it was elsewhere. */
  ended(tookMs: number, isLast: boolean): void {
    this.#open -= 1;
    if (isLast) this.#lastOpen -= 1;
    this.#ended += 1;
    this.#tookMs += tookMs;
  }

  #endWindow(nowMs: number): void {
    const elapsedMs = nowMs - this.#windowStartMs;
    // Nothing ended, and something is open here: it takes longer by all this time at least.
    const waitedMs =
      this.#open === this.#elsewhere ? 0 : this.#meanMs + Math.min(elapsedMs, WAIT_MS_MAX);
    const meanMs = this.#ended === 0 ? waitedMs : this.#tookMs / this.#ended;
    this.#meanMs += LEARNING * (meanMs - this.#meanMs);
    this.#pace += LEARNING * (this.#ended / elapsedMs - this.#pace);
    this.#windowStartMs = nowMs;
    this.#ended = 0;
    this.#tookMs = 0;
  }
}
