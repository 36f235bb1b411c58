/**
 * Keys that wait to be worked on. A key waits once, however often it is added, and is worked on by one
 * worker at a time: what is added meanwhile makes it wait again. A key whose work fails comes back after a pause
 * of its own, so one that always fails delays no other. As many keys as there are objects: that is the
 * bound.
 */
import { Backoff } from "./backoff.ts";

/** Done, or to be looked at again after so many milliseconds whatever happens. */
export type Outcome = { readonly againMs?: number | undefined };

interface WorkQueueOptions {
  readonly workers: number;
  readonly work: (key: string) => Promise<Outcome>;
  /** Told what a key's work threw; it comes back by itself. */
  readonly onFailure: (key: string, error: unknown) => void;
  readonly random?: () => number;
}

const RETRY = { firstMs: 250, lastMs: 30_000 };

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting = new Set<string>();
  readonly #working = new Set<string>();
  /** Added while they were being worked on. */
  readonly #again = new Set<string>();
  readonly #backoffs = new Map<string, Backoff>();
  readonly #timers = new Map<string, { timer: NodeJS.Timeout; atMs: number }>();
  #idle: (() => void)[] = [];
  #isStarted = false;
  #isStopped = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Keys that wait or are worked on. */
  get depth(): number {
    return this.#waiting.size + this.#working.size;
  }

  add(key: string): void {
    if (this.#isStopped) return;
    if (this.#working.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#startMore();
  }

  /** Adds the key then; a call that is due earlier counts. */
  addAfter(key: string, ms: number): void {
    if (this.#isStopped) return;
    const atMs = performance.now() + ms;
    const standing = this.#timers.get(key);
    if (standing !== undefined && standing.atMs <= atMs) return;
    clearTimeout(standing?.timer);
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      this.add(key);
    }, ms);
    timer.unref();
    this.#timers.set(key, { timer, atMs });
  }

  start(): void {
    this.#isStarted = true;
    this.#startMore();
  }

  /** No more work is begun; resolves when none is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#waiting.clear();
    this.#again.clear();
    for (const { timer } of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    if (this.#working.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #startMore(): void {
    if (!this.#isStarted) return;
    for (const key of this.#waiting) {
      if (this.#working.size >= this.#options.workers) return;
      this.#waiting.delete(key);
      this.#working.add(key);
      void this.#work(key);
    }
  }

  async #work(key: string): Promise<void> {
    try {
      const { againMs } = await this.#options.work(key);
      this.#backoffs.delete(key);
      if (againMs !== undefined) this.addAfter(key, againMs);
    } catch (error) {
      this.#options.onFailure(key, error);
      const { random } = this.#options;
      const backoff = this.#backoffs.get(key) ?? new Backoff(RETRY, random);
      this.#backoffs.set(key, backoff);
      this.addAfter(key, backoff.nextMs());
    }
    this.#working.delete(key);
    if (this.#again.delete(key)) this.add(key);
    this.#startMore();
    if (this.#working.size === 0) for (const idle of this.#idle.splice(0)) idle();
  }
}
