/**
 * How long calls of one method take as a rule, and from when on one is late. Methods that wait for
 * something to happen (a poll) take long as a rule; nothing of theirs is ever late.
 */
const LEARNING = 0.05;
/** Before so many calls nothing is a rule. */
const CALLS_MIN = 20;
const LATE_FACTOR = 10;
const LATE_MS_MIN = 250;
/** Longer than this is waiting, not working. */
const TYPICAL_MS_MAX = 250;
/** Whoever has not answered in so long has had time enough, whatever is usual. */
const ENOUGH_MS_MAX = 2_000;

export class Typical {
  #meanMs = 0;
  #calls = 0;

  answered(tookMs: number): void {
    // What came late is no rule; when everything does, the rule follows in steps.
    const counted = Math.min(tookMs, this.lateAfterMs);
    this.#calls += 1;
    const learning = Math.max(LEARNING, 1 / this.#calls);
    this.#meanMs += learning * (counted - this.#meanMs);
  }

  /** After so long a call is late; infinite when that cannot be said. */
  get lateAfterMs(): number {
    if (this.#calls < CALLS_MIN || this.#meanMs > TYPICAL_MS_MAX) return Number.POSITIVE_INFINITY;
    return Math.max(LATE_MS_MIN, LATE_FACTOR * this.#meanMs);
  }

  /** Who had less time than this need not have answered: that time ran out says nothing about it. */
  get enoughMs(): number {
    return Math.min(ENOUGH_MS_MAX, Math.max(LATE_MS_MIN, LATE_FACTOR * this.#meanMs));
  }
}
