/**
 * From the queue to the workers: which streams have entries, and whose turn it is.
 *
 * One loop polls the queue for entries of all streams worked on in this campus. Each stream has its
 * entries in order and at most one step running; streams run side by side, up to a limit. Everything
 * is bounded: a stream whose buffer is full takes no more entries, and they come again with a later
 * poll. Nothing here is the truth: what was worked off the worker notes with its effects, so an entry
 * that is given twice is passed over there.
 *
 * A stream never waits for ever for an entry that cannot be handled. One that cannot be read, or is to
 * blame for steps that fail (defects.ts), is buried (the queue's dead letters) and goes on to the worker
 * as nothing. A step that fails since somebody does not answer is taken again for as long as it takes.
 */

import type { Entry, StreamEntries } from "../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import type { QueueReader } from "../queue/client.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { RpcError } from "../svrkit/errors.ts";
import type { Logger } from "../svrkit/log.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { rest } from "../svrkit/rest.ts";
import { inTrace } from "../svrkit/tracing/context.ts";
import { isDefect, judge } from "./defects.ts";

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

/** An entry as the worker gets it; undefined when nothing stands in the slot, or nothing that can be handled. */
export interface SlotEntry<E> {
  readonly slot: number;
  readonly entry: E | undefined;
}

interface Held<E> extends SlotEntry<E> {
  readonly payload: Uint8Array;
}

interface Stream<E> {
  entries: Held<E>[];
  /** The last slot in `entries` or before them. */
  position: number;
  isRunning: boolean;
  /** Entries through this slot are taken one by one: at one of them steps fail. */
  carefulThrough: number;
}

export interface StreamsParts<E> {
  /** Of the queue's streams; "": those without a topic. */
  readonly topic: string;
  readonly queue: Pick<QueueReader, "poll" | "consumed" | "bury">;
  readonly worker: {
    /** Resolves to the slot through which the stream is worked off. One call at a time a stream. */
    step(stream: string, entries: readonly SlotEntry<E>[]): Promise<number>;
  };
  /** Throws when it cannot be read. */
  readonly read: (payload: Uint8Array) => E;
  /** The trace that an entry belongs to; absent when entries carry none. */
  readonly traceOf?: (entry: E) => Uint8Array;
  readonly log: Logger;
  readonly streamsMax: number;
  readonly stopped: AbortSignal;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class Streams<E> {
  readonly #parts: StreamsParts<E>;
  readonly #streams = new Map<string, Stream<E>>();
  readonly #running = new Set<Promise<void>>();
  /** The last step that worked. */
  #worked: { readonly stream: string; readonly atMs: number } | undefined;

  constructor(parts: StreamsParts<E>) {
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
        const { queue, topic } = this.#parts;
        const found = await queue.poll({ positions, waitMs: POLL_WAIT_MS, topic });
        let taken = 0;
        for (const entries of found) taken += await this.#take(entries);
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
  async #take({ stream: name, entries }: StreamEntries): Promise<number> {
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = { entries: [], position: 0, isRunning: false, carefulThrough: 0 };
      this.#streams.set(name, stream);
    }
    let taken = 0;
    for (const given of entries) {
      if (stream.entries.length >= ENTRIES_PER_STREAM_MAX) break;
      if (given.slot <= stream.position) continue;
      const entry = given.void ? undefined : await this.#read(name, given);
      const { slot, payload } = given;
      stream.entries.push({ slot, entry, payload });
      stream.position = slot;
      taken += 1;
    }
    monitor.add(entriesTaken, taken);
    return taken;
  }

  /** Rejects when an entry that cannot be read cannot be buried either: it is given again. */
  async #read(stream: string, { slot, payload }: Entry): Promise<E | undefined> {
    try {
      return this.#parts.read(payload);
    } catch (error) {
      await this.#bury(stream, { slot, payload }, `it cannot be read: ${messageOf(error)}`);
      return undefined;
    }
  }

  async #bury(
    stream: string,
    held: Pick<Held<E>, "slot" | "payload"> & Partial<Held<E>>,
    why: string,
  ): Promise<void> {
    const { log, queue, now } = this.#parts;
    const { slot, payload } = held;
    log.error(
      { stream, slot, why, ...this.#traceOf(held) },
      "an entry is given up; it lies among the dead letters",
    );
    await queue.bury([{ stream, slot, part: 0, payload, why, buriedAtMs: now() }]);
  }

  /** For a log line about an entry. */
  #traceOf(held: { readonly entry?: E | undefined } | undefined): { trace?: string } {
    const { traceOf } = this.#parts;
    const entry = held?.entry;
    return inTrace(entry === undefined ? undefined : traceOf?.(entry));
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
  async #workOff(name: string, stream: Stream<E>): Promise<void> {
    const { queue, worker, stopped, log } = this.#parts;
    let row = NO_FAILURES;
    for (let misses = 0; stream.entries.length > 0 && !stopped.aborted; ) {
      const first = stream.entries[0]!.slot;
      const isCareful = first <= stream.carefulThrough;
      const startedMs = monotonicMs();
      const entries = isCareful ? stream.entries.slice(0, 1) : stream.entries;
      try {
        const through = await worker.step(name, entries);
        stream.entries = stream.entries.filter(({ slot }) => slot > through);
        if (through >= first) {
          misses = 0;
          row = NO_FAILURES;
          this.#worked = { stream: name, atMs: monotonicMs() };
          await queue.consumed([{ stream: name, through }]);
          await rest(gatherMs(monotonicMs() - startedMs));
          continue;
        }
      } catch (error) {
        monitor.add(failures, 1);
        if (stopped.aborted) return;
        const trace = this.#traceOf(stream.entries[0]);
        log.warn({ err: error, stream: name, ...trace }, "a step failed; trying again");
        if (isDefect(RpcError.from(error).code)) {
          const sinceMs = row.failures === 0 ? startedMs : row.sinceMs;
          row = { failures: row.failures + 1, sinceMs };
          const step = { name, stream, entries: entries.length };
          if (await this.#afterFailure(step, row, error)) row = NO_FAILURES;
        }
      }
      await rest(Math.min(PAUSE_LAST_MS, PAUSE_FIRST_MS * 2 ** misses++));
    }
  }

  /** Whether something was done about it: counting begins anew then. Never rejects. */
  async #afterFailure(
    { name, stream, entries }: { name: string; stream: Stream<E>; entries: number },
    row: FailuresInARow,
    error: unknown,
  ): Promise<boolean> {
    const { code } = RpcError.from(error);
    const othersWorkedMs = this.#worked?.stream === name ? undefined : this.#worked?.atMs;
    const judgement = judge({ code, ...row, entries, othersWorkedMs }, monotonicMs());
    const [first] = stream.entries;
    if (judgement === "again" || first === undefined) return false;
    if (judgement === "apart") {
      stream.carefulThrough = stream.entries.at(-1)!.slot;
      return true;
    }
    // Nothing stands there already: the entry is not what it fails at.
    if (first.entry === undefined) return true;
    try {
      await this.#bury(name, first, messageOf(error));
      stream.entries[0] = { ...first, entry: undefined };
      return true;
    } catch (failure) {
      const facts = { err: failure, stream: name, ...this.#traceOf(first) };
      this.#parts.log.warn(facts, "an entry could not be buried yet");
      return false;
    }
  }
}

/** Those that may be an entry's fault; others do not count. */
interface FailuresInARow {
  readonly failures: number;
  /** Monotonic, of the first one. */
  readonly sinceMs: number;
}

const NO_FAILURES: FailuresInARow = { failures: 0, sinceMs: 0 };

function messageOf(error: unknown): string {
  const { code, message } = RpcError.from(error);
  return `${message} (${code})`;
}

function gatherMs(stepMs: number): number {
  return Math.min(GATHER_MS_MAX, stepMs * Math.min(GATHER_TIMES_MAX, 1 + stepMs / SLOW_STEP_MS));
}
