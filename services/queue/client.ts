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
  LetterName,
  StreamEntries,
  StreamPosition,
} from "../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import { Queue } from "../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import type { CallOptions } from "../svrkit/call.ts";
import type { Callee } from "../svrkit/client.ts";
import { BURY_BYTES_MAX, BURY_MAX, LETTERS_PAGE_MAX } from "./limits.ts";
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

const PART_MAX = 99_999;
const ANSWER_MS = 2_000;
const BURY_MS = 10_000;

export class QueueReader {
  readonly #callee: Callee;
  readonly #own: number;
  /** As the last poll said: there is soon no room for further entries of the topic that was asked for. */
  roomIsScarce = false;

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
    const options = { timeoutMs: waitMs + ANSWER_MS, waits: true };
    const request = { positions: [...positions], waitMs, topic };
    const reply = await this.#callee.callOne(this.#own, Queue.poll, request, options);
    this.roomIsScarce = reply.roomIsScarce;
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

/** What consumers gave up, for who looks after it. */
export class QueueLetters {
  readonly #callee: Callee;

  constructor(callee: Callee) {
    this.#callee = callee;
  }

  /** One page of those behind `after`, of streams whose names begin so; with a '#' at its end, of the one. */
  async page(
    { streamStart = "", after, limit = LETTERS_PAGE_MAX }: QueueLettersPage,
    options: CallOptions,
  ): Promise<{ letters: DeadLetter[]; more: boolean }> {
    return this.#callee.call(Queue.letters, { streamStart, after, limit }, options);
  }

  /** Undefined when there is none of this name. */
  async find(name: LetterName, options: CallOptions): Promise<DeadLetter | undefined> {
    const { stream, slot, part } = name;
    const after =
      part > 0 ? { ...name, part: part - 1 } : { stream, slot: slot - 1, part: PART_MAX };
    const which = { streamStart: `${stream}#`, after, limit: 1 };
    const { letters } = await this.page(which, options);
    return letters.find((one) => one.slot === slot && one.part === part);
  }

  /** Page after page, all of them. */
  async *all(
    { streamStart }: { readonly streamStart?: string },
    options: CallOptions,
  ): AsyncGenerator<DeadLetter> {
    let after: DeadLetter | undefined;
    for (let isMore = true; isMore; ) {
      const { letters, more } = await this.page({ streamStart, after }, options);
      yield* letters;
      after = letters.at(-1);
      isMore = more && after !== undefined;
    }
  }

  async forget(names: readonly LetterName[], options: CallOptions): Promise<void> {
    for (let first = 0; first < names.length; first += BURY_MAX) {
      const some = names.slice(first, first + BURY_MAX);
      await this.#callee.call(
        Queue.forgetLetters,
        { names: some.map(({ stream, slot, part }) => ({ stream, slot, part })) },
        options,
      );
    }
  }
}

export interface QueueLettersPage {
  readonly streamStart?: string | undefined;
  readonly after?: LetterName | undefined;
  readonly limit?: number;
}
