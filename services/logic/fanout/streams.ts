/**
 * From the queue to the workers: which streams have entries, and whose turn it is.
 *
 * One loop polls the queue for entries of all streams worked on in this campus. Each stream has its
 * entries in order and at most one step running; streams run side by side, up to a limit. Everything
 * is bounded: a stream whose buffer is full takes no more entries, and they come again with a later
 * poll. Nothing here is the truth: what was worked off is noted in the group's table, so an entry
 * that is given twice is passed over there.
 */

import { decodeGroupEntry } from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import type { StreamEntries } from "../../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import type { QueueReader } from "../../queue/client.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import { fromBytes } from "../../svrkit/codec.ts";
import type { Logger } from "../../svrkit/log.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { rest } from "../../svrkit/rest.ts";
import type { GroupWorker } from "./group-worker.ts";
import type { SlotEntry } from "./plan/batch.ts";

const ENTRIES_PER_STREAM_MAX = 1_000;
const POLL_WAIT_MS = 1_000;
const PAUSE_FIRST_MS = 20;
const PAUSE_LAST_MS = 1_000;
/**
 * After a step a stream rests as long as the step took, a slow one up to four times as long, at most a
 * second. A quick step costs no delay; under load entries pile up meanwhile, one change of an inbox
 * carries many of them, and fan-out leaves most of the store to those who send.
 */
const GATHER_MS_MAX = 1_000;
const GATHER_TIMES_MAX = 4;
const SLOW_STEP_MS = 100;

const entriesTaken = monitorId("fanout.entries_taken");
const failures = monitorId("fanout.step_failures");

interface Stream {
  entries: SlotEntry[];
  /** The last slot in `entries` or before them. */
  position: number;
  isRunning: boolean;
}

export interface StreamsParts {
  readonly queue: Pick<QueueReader, "poll" | "consumed">;
  readonly worker: Pick<GroupWorker, "step">;
  readonly log: Logger;
  readonly streamsMax: number;
  readonly stopped: AbortSignal;
}

export class Streams {
  readonly #parts: StreamsParts;
  readonly #streams = new Map<string, Stream>();
  readonly #running = new Set<Promise<void>>();

  constructor(parts: StreamsParts) {
    this.#parts = parts;
  }

  /** Until the service stops. */
  async run(): Promise<void> {
    for (let misses = 0; !this.#parts.stopped.aborted; ) {
      try {
        const positions = [...this.#streams].map(([stream, s]) => ({
          stream,
          through: s.position,
        }));
        const found = await this.#parts.queue.poll({ positions, waitMs: POLL_WAIT_MS });
        let taken = 0;
        for (const entries of found) taken += this.#take(entries);
        // Entries that found no room are given again at once.
        if (found.length > 0 && taken === 0) await rest(PAUSE_FIRST_MS);
        misses = 0;
      } catch (error) {
        if (misses === 0) this.#parts.log.warn({ err: error }, "the queue gives no entries");
        await rest(Math.min(PAUSE_LAST_MS, PAUSE_FIRST_MS * 2 ** misses++));
      }
      this.#startSteps();
    }
    await Promise.allSettled(this.#running);
  }

  /** How many entries found room. */
  #take({ stream: name, entries }: StreamEntries): number {
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = { entries: [], position: 0, isRunning: false };
      this.#streams.set(name, stream);
    }
    let taken = 0;
    for (const { slot, void: isVoid, payload } of entries) {
      if (stream.entries.length >= ENTRIES_PER_STREAM_MAX) break;
      if (slot <= stream.position) continue;
      stream.entries.push({ slot, entry: isVoid ? undefined : this.#read(name, slot, payload) });
      stream.position = slot;
      taken += 1;
    }
    monitor.add(entriesTaken, taken);
    return taken;
  }

  #read(stream: string, slot: number, payload: Uint8Array): SlotEntry["entry"] {
    try {
      return fromBytes(decodeGroupEntry, payload);
    } catch (error) {
      this.#parts.log.error({ err: error, stream, slot }, "an entry cannot be read; left out");
      return undefined;
    }
  }

  #startSteps(): void {
    if (this.#parts.stopped.aborted) return;
    for (const [name, stream] of this.#streams) {
      if (this.#running.size >= this.#parts.streamsMax) return;
      if (stream.isRunning || stream.entries.length === 0) continue;
      stream.isRunning = true;
      const run: Promise<void> = this.#workOff(name, stream).finally(() => {
        this.#running.delete(run);
        stream.isRunning = false;
        if (stream.entries.length === 0) this.#streams.delete(name);
        this.#startSteps();
      });
      this.#running.add(run);
    }
  }

  /** Step after step while there are entries; never rejects. */
  async #workOff(name: string, stream: Stream): Promise<void> {
    for (let misses = 0; stream.entries.length > 0 && !this.#parts.stopped.aborted; ) {
      const first = stream.entries[0]!.slot;
      const startedMs = monotonicMs();
      try {
        const through = await this.#parts.worker.step(name, stream.entries);
        stream.entries = stream.entries.filter(({ slot }) => slot > through);
        if (through >= first) {
          misses = 0;
          await this.#parts.queue.consumed([{ stream: name, through }]);
          await rest(gatherMs(monotonicMs() - startedMs));
          continue;
        }
      } catch (error) {
        monitor.add(failures, 1);
        if (this.#parts.stopped.aborted) return;
        this.#parts.log.warn({ err: error, stream: name }, "a step failed; trying again");
      }
      await rest(Math.min(PAUSE_LAST_MS, PAUSE_FIRST_MS * 2 ** misses++));
    }
  }
}

function gatherMs(stepMs: number): number {
  return Math.min(GATHER_MS_MAX, stepMs * Math.min(GATHER_TIMES_MAX, 1 + stepMs / SLOW_STEP_MS));
}
