/**
 * How much may be under way at the store at once, by how long pieces of it take. While they are quick the window
 * doubles, and what waits goes in few large calls; when they are slow it halves, down to what no sender's own
 * write waits behind for long. Between the two it widens little by little, for one stall must not narrow it for good.
 */
const QUICK_MS = 80;
const SLOW_MS = 160;
/** Pieces that end within such a time are judged together. */
const ROUND_MS = 100;

export interface WindowBounds {
  readonly min: number;
  readonly max: number;
}

interface PieceFacts {
  readonly isFull: boolean;
  readonly isDone: boolean;
}

export class Window {
  readonly #bounds: WindowBounds;
  #size: number;
  #roundStartMs = 0;
  #ended = 0;
  #tookMs = 0;
  #wasFull = false;

  /** Begins at its widest: the first pieces are too few to be in anybody's way for long. */
  constructor(bounds: WindowBounds) {
    this.#bounds = bounds;
    this.#size = bounds.max;
  }

  get size(): number {
    return this.#size;
  }

  /** `isFull`: something waits for the window meanwhile. What fails at once says nothing of how quick the store is. */
  ended(tookMs: number, nowMs: number, { isFull, isDone }: PieceFacts): void {
    if (!isDone && tookMs < SLOW_MS) return;
    if (nowMs - this.#roundStartMs >= ROUND_MS) this.#endRound(nowMs);
    this.#ended += 1;
    this.#tookMs += tookMs;
    this.#wasFull ||= isFull;
  }

  #endRound(nowMs: number): void {
    const meanMs = this.#ended === 0 ? 0 : this.#tookMs / this.#ended;
    const { min, max } = this.#bounds;
    if (meanMs > SLOW_MS) this.#size = Math.max(min, this.#size / 2);
    else if (this.#wasFull)
      this.#size = Math.min(max, this.#size + (meanMs < QUICK_MS ? this.#size : min));
    this.#roundStartMs = nowMs;
    this.#ended = 0;
    this.#tookMs = 0;
    this.#wasFull = false;
  }
}
