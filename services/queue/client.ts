/**
 * The queue's clients: QueueClient for whoever appends, QueueReader for the consumer in each campus.
 *
 * Appends go to the campus that writes the stream, which every caller computes from the name, and to
 * the next in the stream's own order when that one does not answer.
 *
 * A reader is given the streams that its own campus writes. From here on delivery is at least once: it
 * keeps its own offset with its effects and skips what is not above it. Entries of a stream come in
 * the order of slots, without gaps; nothing that was acknowledged is missing.
 */
import type {
  DeadLetter,
  StreamEntries,
  StreamPosition,
} from "../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import { Queue } from "../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import type { CallOptions } from "../svrkit/call.ts";
import type { Callee } from "../svrkit/client.ts";
import { BURY_BYTES_MAX, BURY_MAX } from "./limits.ts";
import { inParts } from "./protocol/letters.ts";
import { campusOrder } from "./protocol/placement.ts";

export interface QueueAppend {
  /** 1-200 characters without '#'. */
  readonly stream: string;
  /** 1-128 bytes; the same for every attempt. */
  readonly id: Uint8Array;
  readonly payload: Uint8Array;
}

export class QueueClient {
  readonly #callee: Callee;

  /** `callee`: the service "queue", in the order of campuses. */
  constructor(callee: Callee) {
    this.#callee = callee;
  }

  /** Resolves when the entry is durable in two campuses. `slot` is 0 when it is not known yet. */
  append(
    { stream, id, payload }: QueueAppend,
    options: CallOptions = {},
  ): Promise<{ slot: number }> {
    const request = { stream, id, payload, forwarded: false };
    return this.#callee.call(Queue.append, request, { ...options, order: campusOrder(stream) });
  }
}

export interface QueuePoll {
  /** Streams of which the reader was given entries that it has not yet reported as consumed. */
  readonly positions: readonly StreamPosition[];
  /** Longest wait for an entry, at most 1,000. */
  readonly waitMs: number;
  /** Only streams "<topic>/..."; by default those without a slash in their names. */
  readonly topic?: string;
}

const ANSWER_MS = 2_000;
const BURY_MS = 10_000;

export class QueueReader {
  readonly #callee: Callee;
  readonly #own: number;

  /** `campus`: the reader's own. */
  constructor(callee: Callee, campus: string) {
    this.#callee = callee;
    this.#own = callee.peers.findIndex((peer) => peer.campus === campus);
  }

  /**
   * Answers at once when there are entries, else with the first that is settled, or with none. Asked
   * once: the reader polls again anyway, and stops at once when it is told to.
   */
  async poll({ positions, waitMs, topic = "" }: QueuePoll): Promise<readonly StreamEntries[]> {
    const options = { timeoutMs: waitMs + ANSWER_MS };
    const request = { positions: [...positions], waitMs, topic };
    const reply = await this.#callee.callOne(this.#own, Queue.poll, request, options);
    return reply.streams;
  }

  /** Everything through these slots has taken effect durably. */
  async consumed(positions: readonly StreamPosition[]): Promise<void> {
    const options = { order: [this.#own], timeoutMs: ANSWER_MS };
    await this.#callee.call(Queue.consumed, { positions: [...positions] }, options);
  }

  /** Keeps entries that this reader gives up: it may go on behind them. Safe to repeat. */
  async bury(letters: readonly DeadLetter[]): Promise<void> {
    const options = { order: campusOrder(letters[0]?.stream ?? ""), timeoutMs: BURY_MS };
    const limits = { letters: BURY_MAX, bytes: BURY_BYTES_MAX };
    for (const part of inParts(letters, limits))
      await this.#callee.call(Queue.bury, { letters: part }, options);
  }
}
