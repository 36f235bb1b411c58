/** What happened in which second of a replay: acknowledged sends, the worst of them, and events. */
interface Second {
  acknowledged: number;
  delivered: number;
  worstMs: number;
  readonly events: string[];
}

export class Timeline {
  readonly #startMs: number;
  readonly #seconds: Second[] = [];

  /** Times are monotonic milliseconds. */
  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  /** `count` of them, the slowest of which took so long. */
  acknowledged(nowMs: number, latencyMs: number, count = 1): void {
    const second = this.#second(nowMs);
    second.acknowledged += count;
    if (latencyMs > second.worstMs) second.worstMs = latencyMs;
  }

  delivered(nowMs: number, count = 1): void {
    this.#second(nowMs).delivered += count;
  }

  event(nowMs: number, text: string): void {
    this.#second(nowMs).events.push(text);
  }

  /** One row a second: time, acknowledged, delivered, worst latency, a bar, events. */
  rows(): string[][] {
    const most = Math.max(1, ...this.#seconds.map((second) => second.acknowledged));
    return this.#seconds.map((second, index) => [
      `${index} s`,
      String(second.acknowledged),
      String(second.delivered),
      second.acknowledged === 0 ? "-" : `${Math.round(second.worstMs)} ms`,
      "#".repeat(Math.ceil((second.acknowledged / most) * BAR_WIDTH)),
      second.events.join("; "),
    ]);
  }

  #second(nowMs: number): Second {
    const index = Math.max(0, Math.floor((nowMs - this.#startMs) / 1_000));
    while (this.#seconds.length <= index) {
      this.#seconds.push({ acknowledged: 0, delivered: 0, worstMs: 0, events: [] });
    }
    return this.#seconds[index]!;
  }
}

const BAR_WIDTH = 20;
