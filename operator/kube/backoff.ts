/** Growing, jittered pauses between attempts that fail. Pure but for the generator given to it. */
export class Backoff {
  readonly #firstMs: number;
  readonly #lastMs: number;
  readonly #random: () => number;
  #failures = 0;

  constructor(range: { firstMs: number; lastMs: number }, random: () => number = Math.random) {
    this.#firstMs = range.firstMs;
    this.#lastMs = range.lastMs;
    this.#random = random;
  }

  /** The pause after one more failure: half of it is chance, so that many do not come back at once. */
  nextMs(): number {
    const ceilingMs = Math.min(this.#lastMs, this.#firstMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 30);
    return ceilingMs * (0.5 + this.#random() / 2);
  }

  reset(): void {
    this.#failures = 0;
  }
}
