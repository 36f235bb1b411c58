/** Entries from the queue service of the own campus: it gives those of the streams it writes. */
import { Queue, type StreamEntries } from "../../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import type { EntrySource } from "./streams.ts";

const WAIT_MS = 1_000;
const TIMEOUT_MS = 3_000;

export class QueueSource implements EntrySource {
  readonly #queue: Callee;
  readonly #options: CallOptions;

  /** `own`: the own campus's position among the callee's. */
  constructor(queue: Callee, own: number) {
    this.#queue = queue;
    this.#options = { timeoutMs: TIMEOUT_MS, order: [own] };
  }

  async poll(given: ReadonlyMap<string, number>): Promise<readonly StreamEntries[]> {
    const positions = [...given].map(([stream, through]) => ({ stream, through }));
    const request = { positions, waitMs: WAIT_MS };
    return (await this.#queue.call(Queue.poll, request, this.#options)).streams;
  }

  async consumed(stream: string, through: number): Promise<void> {
    const request = { positions: [{ stream, through }] };
    await this.#queue.call(Queue.consumed, request, this.#options);
  }
}
