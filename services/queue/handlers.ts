/** The methods of Queue. An append ends up in the campus that writes the stream (protocol/placement.ts). */

import {
  type AdoptReply,
  type AdoptRequest,
  type AppendReply,
  type AppendRequest,
  type BuryReply,
  type BuryRequest,
  type ConsumedReply,
  type ConsumedRequest,
  type ForgetLettersReply,
  type ForgetLettersRequest,
  type LettersReply,
  type LettersRequest,
  type PollReply,
  type PollRequest,
  Queue,
} from "../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import { type Call, forward, remainingMs } from "../svrkit/call.ts";
import type { Callee } from "../svrkit/client.ts";
import { RpcError, requireArgument } from "../svrkit/errors.ts";
import type { Logger } from "../svrkit/log.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { rest } from "../svrkit/rest.ts";
import type { Server } from "../svrkit/server.ts";
import type { DeadLetters } from "./dead-letters-client.ts";
import {
  BURY_MAX,
  ID_BYTES_MAX,
  LETTERS_PAGE_MAX,
  PAYLOAD_BYTES_MAX,
  POLL_WAIT_MS_MAX,
} from "./limits.ts";
import { type Campuses, writingCampus } from "./protocol/placement.ts";
import { isStreamName } from "./protocol/segments.ts";
import type { Streams } from "./streams.ts";

const FENCED_ATTEMPTS_MAX = 4;
const FENCED_PAUSE_MS = 10;

const forwards = monitorId("queue.appends_forwarded");
const buried = monitorId("queue.letters_buried");

export interface QueueParts {
  readonly streams: Streams;
  /** The service "queue", in the order of campuses. */
  readonly queues: Callee;
  readonly own: number;
  readonly deadLetters: Pick<DeadLetters, "bury" | "page" | "remove">;
  readonly log: Logger;
}

export class QueueHandlers {
  readonly #parts: QueueParts;

  constructor(parts: QueueParts) {
    this.#parts = parts;
  }

  register(server: Server): void {
    server.add(Queue.append, (request, call) => this.#append(request, call));
    server.add(Queue.poll, (request) => this.#poll(request));
    server.add(Queue.consumed, (request) => this.#consumed(request));
    server.add(Queue.adopt, (request) => this.#adopt(request));
    server.add(Queue.bury, (request, call) => this.#bury(request, call));
    server.add(Queue.letters, (request, call) => this.#letters(request, call));
    server.add(Queue.forgetLetters, (request, call) => this.#forgetLetters(request, call));
  }

  async #append(request: AppendRequest, call: Call): Promise<AppendReply> {
    checkAppend(request);
    const { own, queues } = this.#parts;
    const target = writingCampus(request.stream, campusesOf(queues, own));
    if (target === own || request.forwarded) return this.#appendHere(request, call);
    monitor.add(forwards, 1);
    // When the other does not answer in the end, this campus takes over.
    const options = { ...forward(call), order: [target, own] };
    return queues.call(Queue.append, { ...request, forwarded: true }, options);
  }

  async #appendHere({ stream, id, payload }: AppendRequest, call: Call): Promise<AppendReply> {
    const { trace } = call;
    for (let attempt = 1; ; attempt++) {
      try {
        return { slot: await this.#parts.streams.append(stream, { id, payload, trace }) };
      } catch (error) {
        const failure = RpcError.from(error);
        if (failure.code !== "FENCED") throw failure;
        if (attempt === FENCED_ATTEMPTS_MAX || remainingMs(call) < 2 * FENCED_PAUSE_MS) {
          throw new RpcError("UNAVAILABLE", failure.message, { cause: failure });
        }
      }
      // The writer before knew nothing of the newer one; jittered, for two may be at it.
      const pauseMs = FENCED_PAUSE_MS * attempt * Math.random();
      await rest(pauseMs);
    }
  }

  async #poll(request: PollRequest): Promise<PollReply> {
    const waitMs = Math.min(request.waitMs, POLL_WAIT_MS_MAX);
    const { streams } = this.#parts;
    const found = await streams.poll({ ...request, waitMs });
    return { streams: found, roomIsScarce: streams.isScarce(request.topic) };
  }

  async #bury({ letters }: BuryRequest, call: Call): Promise<BuryReply> {
    requireArgument(
      letters.length >= 1 && letters.length <= BURY_MAX,
      `1 to ${BURY_MAX} letters can be buried at once`,
    );
    for (const { stream } of letters)
      requireArgument(isStreamName(stream), "a letter is of a stream");
    await this.#parts.deadLetters.bury(letters, forward(call));
    monitor.add(buried, letters.length);
    return {};
  }

  #letters({ streamStart, after, limit }: LettersRequest, call: Call): Promise<LettersReply> {
    requireArgument(
      limit >= 1 && limit <= LETTERS_PAGE_MAX,
      `1 to ${LETTERS_PAGE_MAX} letters are a page`,
    );
    requireArgument(
      streamStart === "" || isStreamName(streamStart.replace(/#$/, "")),
      "a stream's name has 1-200 characters and no '#'",
    );
    requireArgument(after === undefined || isStreamName(after.stream), "a letter is of a stream");
    return this.#parts.deadLetters.page({ streamStart, after, limit }, forward(call));
  }

  async #forgetLetters({ names }: ForgetLettersRequest, call: Call): Promise<ForgetLettersReply> {
    requireArgument(
      names.length >= 1 && names.length <= BURY_MAX,
      `1 to ${BURY_MAX} letters can be forgotten at once`,
    );
    for (const { stream } of names)
      requireArgument(isStreamName(stream), "a letter is of a stream");
    await this.#parts.deadLetters.remove(names, forward(call));
    return {};
  }

  #consumed({ positions }: ConsumedRequest): ConsumedReply {
    this.#parts.streams.consumed(positions);
    return {};
  }

  async #adopt({ orphans }: AdoptRequest): Promise<AdoptReply> {
    const adopting = orphans.map((orphan) =>
      this.#parts.streams.adopt(orphan).catch((err: unknown) => {
        // The finder asks again as long as the entries lie there.
        this.#parts.log.warn(
          { err, stream: orphan.logStream },
          "a stream could not be adopted yet",
        );
      }),
    );
    await Promise.all(adopting);
    return {};
  }
}

/** Who answers and is not blocked, as this campus sees it. */
export function campusesOf(queues: Callee, own: number): Campuses {
  return { own, usable: queues.peers.map((_, index) => queues.takesCalls(index)) };
}

function checkAppend({ stream, id, payload }: AppendRequest): void {
  requireArgument(isStreamName(stream), "a stream's name has 1-200 characters and no '#'");
  requireArgument(
    id.length > 0 && id.length <= ID_BYTES_MAX,
    `an entry's id has 1-${ID_BYTES_MAX} bytes`,
  );
  if (payload.length > PAYLOAD_BYTES_MAX) {
    throw new RpcError(
      "TOO_LARGE",
      `an entry of ${payload.length} bytes: ${PAYLOAD_BYTES_MAX} fit`,
    );
  }
}
