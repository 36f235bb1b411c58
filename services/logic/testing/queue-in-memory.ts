/**
 * The queue's service as one object in memory, for tests of what stands in front of and behind it:
 * ordered streams, given to the workers of one campus. An entry may be put in twice on purpose.
 */
import {
  type DeadLetter,
  type Entry,
  type PollReply,
  type PollRequest,
  Queue,
} from "../../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import { topicOf } from "../../queue/protocol/segments.ts";
import { RpcError } from "../../svrkit/errors.ts";
import type { Server } from "../../svrkit/server.ts";

const POLL_PAUSE_MS = 2;

export class QueueInMemory {
  readonly #streams = new Map<string, { entries: Entry[]; consumed: number }>();
  /** Nothing is given while true: workers see an empty queue. */
  isHeld = false;
  /** Nothing is taken while true, as when consumers are far behind. */
  isFull = false;
  readonly buried: DeadLetter[] = [];

  addTo(server: Server): void {
    server.add(Queue.append, ({ stream, id, payload }) => {
      if (this.isFull) throw new RpcError("RESOURCE_EXHAUSTED", "consumers are behind");
      const { entries } = this.#stream(stream);
      const there = entries.find((entry) => Buffer.compare(entry.id, id) === 0);
      return { slot: there?.slot ?? this.put(stream, { id, payload }) };
    });
    server.add(Queue.poll, (request) => this.#poll(request));
    server.add(Queue.bury, ({ letters }) => {
      this.buried.push(...letters);
      return {};
    });
    server.add(Queue.consumed, ({ positions }) => {
      for (const { stream, through } of positions) {
        const found = this.#stream(stream);
        found.consumed = Math.max(found.consumed, through);
      }
      return {};
    });
  }

  /** Appends without looking whether the id is there. */
  put(stream: string, { id, payload }: { id: Uint8Array; payload: Uint8Array }): number {
    const { entries } = this.#stream(stream);
    const slot = entries.length + 1;
    entries.push({ slot, id: Buffer.from(id), payload: Buffer.from(payload), void: false });
    return slot;
  }

  entries(stream: string): readonly Entry[] {
    return this.#stream(stream).entries;
  }

  consumed(stream: string): number {
    return this.#stream(stream).consumed;
  }

  /** Gives every entry again, as after a restart that forgot what was consumed. */
  forgetConsumed(): void {
    for (const stream of this.#streams.values()) stream.consumed = 0;
  }

  #stream(name: string): { entries: Entry[]; consumed: number } {
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = { entries: [], consumed: 0 };
      this.#streams.set(name, stream);
    }
    return stream;
  }

  async #poll({ positions, waitMs, topic }: PollRequest): Promise<PollReply> {
    const given = new Map(positions.map(({ stream, through }) => [stream, through]));
    for (let waited = 0; ; waited += POLL_PAUSE_MS) {
      const streams = [...this.#streams].flatMap(([stream, { entries, consumed }]) => {
        const after = Math.max(consumed, given.get(stream) ?? 0);
        const isOther = topicOf(stream) !== topic;
        const found = this.isHeld || isOther ? [] : entries.slice(after);
        return found.length === 0 ? [] : [{ stream, after, entries: found }];
      });
      if (streams.length > 0 || waited >= Math.min(waitMs, 100))
        return { streams, roomIsScarce: false };
      await new Promise((resolve) => setTimeout(resolve, POLL_PAUSE_MS));
    }
  }
}
