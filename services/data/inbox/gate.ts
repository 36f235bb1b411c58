import { monotonicMs } from "../../svrkit/call.ts";
import { Window, type WindowBounds } from "./window.ts";

/**
 * A window over pieces of work: those under way weigh no more together than it allows, plus the one
 * that was let in last; first come first served. Fan-out passes through it as a whole: what it has
 * under way at the store is what everybody else waits behind there. How wide it is says window.ts.
 */
export class Gate {
  readonly #window: Window;
  #underWay = 0;
  #waiting: { readonly weight: number; readonly enter: () => void }[] = [];
  /** Waiters before this one have entered. */
  #first = 0;

  constructor(weights: WindowBounds) {
    this.#window = new Window(weights);
  }

  /** `isDone`: false for a result that is a failure. */
  async run<T>(
    weight: number,
    work: () => Promise<T>,
    isDone: (result: T) => boolean = () => true,
  ): Promise<T> {
    if (this.#underWay < this.#window.size && this.#waiting.length === 0) this.#underWay += weight;
    else await new Promise<void>((enter) => this.#waiting.push({ weight, enter }));
    const beganMs = monotonicMs();
    try {
      const result = await work();
      const nowMs = monotonicMs();
      const facts = { isFull: this.#waits, isDone: isDone(result) };
      this.#window.ended(nowMs - beganMs, nowMs, facts);
      return result;
    } finally {
      this.#underWay -= weight;
      this.#letIn();
    }
  }

  get #waits(): boolean {
    return this.#first < this.#waiting.length;
  }

  #letIn(): void {
    while (this.#waits && this.#underWay < this.#window.size) {
      const { weight, enter } = this.#waiting[this.#first]!;
      this.#first += 1;
      this.#underWay += weight;
      enter();
    }
    // Removed in bulk: a rush is tens of thousands, and each removal moves all that follow.
    if (this.#first * 2 < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#first);
    this.#first = 0;
  }
}
