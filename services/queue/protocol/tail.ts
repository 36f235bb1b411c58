/**
 * What a new writer makes of the answers to its fence.
 *
 * After two logs have promised its epoch, no older writer gets anything settled any more, and
 * whatever was settled is in one of the two answers, under the highest epoch seen for its slot: two
 * of three held it, and who wrote the slot later had to take it over. What is above
 * `settledThrough` may or may not be settled; it is written again under the new epoch (never
 * dropped: someone may have been told), and a slot that nobody holds becomes void for ever.
 */
import assert from "node:assert";
import type { Epoch, LogEntry } from "../../../protos/gen/tricampus/queue/v1/log_codec.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import { compareEpochs, NO_EPOCH } from "./epoch.ts";

export interface FenceAnswer {
  readonly trimmedThrough: number;
  readonly settledThrough: number;
  readonly previous: Epoch | undefined;
  readonly entries: readonly LogEntry[];
}

export interface Tail {
  /** Slots through here were consumed. */
  readonly consumedThrough: number;
  readonly lastSlot: number;
  /** consumedThrough + 1 ... lastSlot, without gaps. */
  readonly entries: readonly LogEntry[];
  /** Those of them to write again before anything else. */
  readonly unsettled: readonly LogEntry[];
}

export function planTail(answers: readonly FenceAnswer[]): Tail {
  const consumedThrough = Math.max(...answers.map((answer) => answer.trimmedThrough));
  const settledThrough = Math.max(...answers.map((answer) => answer.settledThrough));
  const newest = new Map<number, LogEntry>();
  let lastSlot = consumedThrough;
  for (const entry of answers.flatMap((answer) => answer.entries)) {
    const other = newest.get(entry.slot);
    if (other === undefined || isNewer(entry, other)) newest.set(entry.slot, entry);
    lastSlot = Math.max(lastSlot, entry.slot);
  }
  const entries: LogEntry[] = [];
  for (let slot = consumedThrough + 1; slot <= lastSlot; slot++) {
    const entry = newest.get(slot);
    assert(
      entry !== undefined || slot > settledThrough,
      `slot ${slot} is settled and two logs do not have it: a log lost what it had promised to keep`,
    );
    entries.push(entry ?? voidEntry(slot));
  }
  const unsettled = entries.filter((entry) => entry.slot > settledThrough);
  return { consumedThrough, lastSlot, entries, unsettled };
}

function isNewer(a: LogEntry, b: LogEntry): boolean {
  return compareEpochs(a.epoch ?? NO_EPOCH, b.epoch ?? NO_EPOCH) > 0;
}

function voidEntry(slot: number): LogEntry {
  return { slot, epoch: undefined, void: true, payload: NO_BYTES, id: NO_BYTES };
}

/** An earlier writer that may still live and seal could be another process than `process`. */
export function mustClaim(answers: readonly FenceAnswer[], process: string): boolean {
  return answers.some(
    ({ previous }) => previous !== undefined && !previous.writer.startsWith(`${process}.`),
  );
}
