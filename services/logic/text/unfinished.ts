/**
 * Sends that were committed here and failed on the way (M1): carried on in the background, so that a
 * message does not wait for its sender to come back.
 *
 * Only a convenience, therefore bounded and in memory: the commit row is the truth, and what this
 * process forgets, or takes with it when it dies, is finished by the sender's retry or by a sync of
 * one of the sender's devices.
 */
import type { CommittedMessage } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { counter } from "../../svrkit/monitors/registry.ts";

const ROUND_PAUSE_MS = 500;
const PAUSE_FIRST_MS = 1_000;
const PAUSE_LAST_MS = 60_000;
const ATTEMPTS_MAX = 100;
const PER_ROUND_MAX = 32;

const finished = counter("text.unfinished_finished");
const givenUp = counter("text.unfinished_given_up");

export interface UnfinishedSend {
  readonly message: CommittedMessage;
  readonly ticket: Uint8Array;
}

interface Waiting extends UnfinishedSend {
  attempts: number;
  notBeforeMs: number;
}

export interface UnfinishedOptions {
  readonly sizeMax: number;
  /** Milliseconds that only rise. */
  readonly now: () => number;
  readonly finish: (send: UnfinishedSend) => Promise<void>;
}

export class Unfinished {
  readonly #options: UnfinishedOptions;
  readonly #waiting = new Map<string, Waiting>();
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #stopped = false;

  constructor(options: UnfinishedOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  add({ message, ticket }: UnfinishedSend): void {
    const isFull = this.#waiting.size >= this.#options.sizeMax;
    if (this.#stopped || isFull || this.#waiting.has(message.messageId)) return;
    this.#waiting.set(message.messageId, {
      message,
      // A view into a frame otherwise, which must not be kept.
      ticket: Buffer.from(ticket),
      attempts: 0,
      notBeforeMs: this.#options.now() + PAUSE_FIRST_MS,
    });
    this.#schedule();
  }

  /** The message reached its recipients by another way. */
  remove(messageId: string): void {
    this.#waiting.delete(messageId);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#waiting.clear();
    await this.#round;
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
    const due = [...this.#waiting.values()].filter((send) => send.notBeforeMs <= nowMs);
    await Promise.all(due.slice(0, PER_ROUND_MAX).map((send) => this.#try(send)));
  }

  async #try(send: Waiting): Promise<void> {
    const { messageId } = send.message;
    try {
      await this.#options.finish(send);
      finished.value += 1;
      this.#waiting.delete(messageId);
    } catch (error) {
      send.attempts += 1;
      if (!RpcError.from(error).retryable || send.attempts >= ATTEMPTS_MAX) {
        givenUp.value += 1;
        this.#waiting.delete(messageId);
      }
      const pauseMs = Math.min(PAUSE_LAST_MS, PAUSE_FIRST_MS * 2 ** Math.min(send.attempts, 10));
      send.notBeforeMs = this.#options.now() + pauseMs;
    }
  }
}
