/**
 * Sends that may have stopped on their way (M1), carried on in the background: those that failed in
 * this process, and those of other processes that this one witnesses (open-sends.ts).
 *
 * In memory and bounded. What is forgotten here is finished by the sender's retry or by a sync of one
 * of the sender's devices: the commit row is the truth.
 */
import { type Code, RpcError } from "../../svrkit/errors.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";

const ROUND_PAUSE_MS = 500;
const PAUSE_LAST_MS = 60_000;
const ATTEMPTS_MAX = 100;
const PER_ROUND_MAX = 32;

/** What no further attempt changes. A deadline that is over or a queue without room says nothing of the kind. */
const FINAL: ReadonlySet<Code> = new Set([
  "INVALID_ARGUMENT",
  "PERMISSION_DENIED",
  "UNAUTHENTICATED",
  "NOT_FOUND",
  "FAILED_PRECONDITION",
  "TOO_LARGE",
]);

export function isFinal(error: unknown): boolean {
  return FINAL.has(RpcError.from(error).code);
}

const finished = monitorId("text.unfinished_finished");
const givenUp = monitorId("text.unfinished_given_up");
const noRoom = monitorId("text.unfinished_no_room");

export interface UnfinishedOptions<S> {
  readonly sizeMax: number;
  /** From `add` to the first attempt; every further pause is twice as long, up to a minute. */
  readonly pauseFirstMs: number;
  /** Milliseconds that only rise. */
  readonly now: () => number;
  /** `attempts`: how many failed before. A failure that is final is the last. */
  readonly finish: (send: S, attempts: number) => Promise<void>;
  /** It was finished or given up; not called for what was removed. */
  readonly onLeft?: (send: S) => void;
}

interface Waiting<S> {
  readonly send: S;
  attempts: number;
  notBeforeMs: number;
}

export class Unfinished<S extends { readonly id: string }> {
  readonly #options: UnfinishedOptions<S>;
  readonly #waiting = new Map<string, Waiting<S>>();
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #stopped = false;

  constructor(options: UnfinishedOptions<S>) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  *sends(): Iterable<S> {
    for (const { send } of this.#waiting.values()) yield send;
  }

  add(send: S): void {
    if (this.#stopped || this.#waiting.has(send.id)) return;
    if (this.#waiting.size >= this.#options.sizeMax) {
      monitor.add(noRoom, 1);
      return;
    }
    const notBeforeMs = this.#options.now() + this.#options.pauseFirstMs;
    this.#waiting.set(send.id, { send, attempts: 0, notBeforeMs });
    this.#schedule();
  }

  /** It needs nobody any more. */
  remove(id: string): void {
    this.#waiting.delete(id);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#round;
    this.#waiting.clear();
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#stopped || this.#waiting.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#round = this.#runRound().finally(() => {
        this.#timer = undefined;
        this.#schedule();
      });
    }, ROUND_PAUSE_MS);
  }

  async #runRound(): Promise<void> {
    const nowMs = this.#options.now();
    const due: Waiting<S>[] = [];
    for (const waiting of this.#waiting.values()) {
      if (waiting.notBeforeMs <= nowMs) due.push(waiting);
      if (due.length === PER_ROUND_MAX) break;
    }
    await Promise.all(due.map((waiting) => this.#try(waiting)));
  }

  async #try(waiting: Waiting<S>): Promise<void> {
    try {
      await this.#options.finish(waiting.send, waiting.attempts);
      monitor.add(finished, 1);
      this.#leave(waiting);
    } catch (error) {
      waiting.attempts += 1;
      if (isFinal(error) || waiting.attempts >= ATTEMPTS_MAX) {
        monitor.add(givenUp, 1);
        this.#leave(waiting);
      }
      // Behind the others, or those that cannot be finished would have every place of a round.
      if (this.#waiting.delete(waiting.send.id)) this.#waiting.set(waiting.send.id, waiting);
      const { pauseFirstMs, now } = this.#options;
      const pauseMs = Math.min(PAUSE_LAST_MS, pauseFirstMs * 2 ** Math.min(waiting.attempts, 10));
      waiting.notBeforeMs = now() + pauseMs;
    }
  }

  #leave({ send }: Waiting<S>): void {
    this.#waiting.delete(send.id);
    this.#options.onLeft?.(send);
  }
}
