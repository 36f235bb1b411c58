/**
 * How much may be asked again: a tenth of what is asked, and a few a second in any case. Without a bound
 * retries multiply load just when there is too much of it: three hops that each try three times make
 * twenty-seven calls of one.
 *
 * Counted is what a server has to do twice: asking another replica after one has refused, or has not
 * answered in time. Not counted: a replica that could not be reached, or the first whose connection ended; each
 * call in flight pays that once, and the next ones know. A second one under the same call is counted: were it the
 * call that ends them, replicas would fall as fast as they come back.
 *
 * When nothing is left calls wait. Once one call after the other succeeds, each of them that had waited lets
 * two more go: all go soon when a service is back, and hardly any while it is not.
 */
const SHARE = 0.1;
const PER_SECOND_MIN = 10;
const SAVED_FIRST = 50;
/** What may have been saved up: retries that come all at once. */
const SAVED_MAX = 500;
const RECOVERED = 2;
/** Successes in a row after which a service counts as back. */
const BACK_AFTER = 3;

export class RetryBudget {
  #saved: number = SAVED_FIRST;
  #filledMs = 0;
  #successes = 0;

  /** A call was made for the first time. */
  earn(): void {
    if (this.#saved < SAVED_MAX) this.#saved += SHARE;
  }

  /** A call was answered; `waited`: it had been refused, and had to wait before it was made again. */
  succeeded(waited: boolean): void {
    this.#successes += 1;
    if (waited && this.#successes >= BACK_AFTER)
      this.#saved = Math.min(SAVED_MAX, this.#saved + RECOVERED);
  }

  /** A replica has refused. */
  failed(): void {
    this.#successes = 0;
  }

  /** Whether one more may be asked again now; it then counts as asked. */
  spend(nowMs: number): boolean {
    const least = Math.min(PER_SECOND_MIN, ((nowMs - this.#filledMs) / 1_000) * PER_SECOND_MIN);
    if (this.#saved + least < 1) return false;
    this.#saved = Math.min(SAVED_MAX, this.#saved + least) - 1;
    this.#filledMs = nowMs;
    return true;
  }
}
