/**
 * The rules of one log for one stream, and the state they are judged on.
 *
 * L1 Fence(e) is granted iff e >= promised, and raises `promised` to e. (Equal: a repeated call of
 *    the same writer, for an epoch is never shared by two.)
 * L2 Append(e) is granted iff e >= promised, and raises `promised` to e.
 * L3 A slot keeps the entry of the highest epoch that wrote it. What an epoch wrote into a slot never
 *    changes: other content at the same epoch is a defect of the writer, asserted.
 * L4 Slots at or below `trimmedThrough` are gone, for ever; writing one is granted and keeps nothing.
 *
 * A judgement returns the record that must be durable before the verdict is told; `applyRecord` is
 * what the record does, at run time and at replay alike, and returns how to undo it, for a record
 * that the disk then refused.
 */
import assert from "node:assert";
import type { LogRecord } from "../../../protos/gen/tricampus/queue/v1/disk_codec.ts";
import type {
  Epoch,
  LogEntry,
  StreamStanding,
} from "../../../protos/gen/tricampus/queue/v1/log_codec.ts";
import { murmur3 } from "../../svrkit/murmur3.ts";
import { compareEpochs, NO_EPOCH } from "./epoch.ts";

/** Where an entry's record stands on disk. */
export interface Place {
  readonly segment: number;
  readonly offset: number;
}

export interface Held {
  readonly slot: number;
  readonly epoch: Epoch;
  readonly isVoid: boolean;
  readonly id: Uint8Array;
  readonly place: Place;
  readonly arrivedMs: number;
  readonly payloadBytes: number;
  readonly payloadDigest: number;
  /** Undefined when only the disk has it. */
  payload: Uint8Array | undefined;
}

export interface StreamLog {
  readonly stream: string;
  promised: Epoch;
  settledThrough: number;
  trimmedThrough: number;
  /** Highest slot ever written here. */
  lastSlot: number;
  /** Untrimmed entries by slot. */
  readonly entries: Map<number, Held>;
}

/** In place of a stream's name, which is never empty: what is promised of all that are not known yet. */
export const UNKNOWN_STREAMS = "";

export function newStreamLog(stream: string, promised: Epoch = NO_EPOCH): StreamLog {
  return {
    stream,
    promised,
    settledThrough: 0,
    trimmedThrough: 0,
    lastSlot: 0,
    entries: new Map(),
  };
}

export type Judgement =
  | { readonly verdict: "refused"; readonly promised: Epoch }
  | { readonly verdict: "granted"; readonly previous: Epoch; readonly record: LogRecord };

export function judgeFence(log: StreamLog, epoch: Epoch): Judgement {
  if (compareEpochs(epoch, log.promised) < 0) return { verdict: "refused", promised: log.promised };
  const record = { ...emptyRecord(log.stream), promised: epoch };
  return { verdict: "granted", previous: log.promised, record };
}

export interface Appending {
  readonly epoch: Epoch;
  readonly entries: readonly LogEntry[];
  readonly settledThrough: number;
}

export function judgeAppend(
  log: StreamLog,
  { epoch, entries, settledThrough }: Appending,
): Judgement {
  if (compareEpochs(epoch, log.promised) < 0) return { verdict: "refused", promised: log.promised };
  for (const entry of entries) assertSameContent(log, epoch, entry);
  const fresh = entries.filter((entry) => {
    const held = log.entries.get(entry.slot);
    const isRepeated = held !== undefined && compareEpochs(held.epoch, epoch) === 0;
    return entry.slot > log.trimmedThrough && !isRepeated;
  });
  const record = { ...emptyRecord(log.stream), promised: epoch, entries: fresh, settledThrough };
  return { verdict: "granted", previous: log.promised, record };
}

/** What another log holds of the stream comes to be held here: its entries have epochs of their own. */
export function judgeAdoption(
  standing: StreamStanding,
  entries: readonly LogEntry[],
): Extract<Judgement, { verdict: "granted" }> {
  return { verdict: "granted", previous: NO_EPOCH, record: { ...standing, entries: [...entries] } };
}

function assertSameContent(log: StreamLog, epoch: Epoch, entry: LogEntry): void {
  const held = log.entries.get(entry.slot);
  if (held === undefined || compareEpochs(held.epoch, epoch) !== 0) return;
  const isSame =
    held.isVoid === entry.void &&
    Buffer.compare(held.id, entry.id) === 0 &&
    held.payloadBytes === entry.payload.length &&
    held.payloadDigest === murmur3(entry.payload);
  assert(
    isSame,
    `slot ${entry.slot} of ${log.stream} holds another entry of the same epoch ` +
      `${epoch.round}/${epoch.writer}: its writer wrote one slot twice`,
  );
}

export interface Applied {
  readonly added: readonly Held[];
  readonly removed: readonly Held[];
  undo(): void;
}

/** Entries without an epoch of their own are of the epoch that the record promises. */
export function applyRecord(
  log: StreamLog,
  record: LogRecord,
  at: { readonly place: Place; readonly nowMs: number },
): Applied {
  const { promised, settledThrough, trimmedThrough, lastSlot } = log;
  const added: Held[] = [];
  const removed: Held[] = [];
  if (record.promised !== undefined && compareEpochs(record.promised, promised) > 0) {
    log.promised = record.promised;
  }
  log.settledThrough = Math.max(settledThrough, record.settledThrough);
  for (const entry of record.entries) {
    if (entry.slot <= log.trimmedThrough) continue;
    const held = heldOf(entry, record, at);
    const before = log.entries.get(entry.slot);
    if (before !== undefined) {
      if (compareEpochs(before.epoch, held.epoch) > 0) continue;
      removed.push(before);
    }
    log.entries.set(entry.slot, held);
    log.lastSlot = Math.max(log.lastSlot, entry.slot);
    added.push(held);
  }
  trimTo(log, record.trimmedThrough, removed);
  const undo = () => {
    for (const held of added) log.entries.delete(held.slot);
    for (const held of removed) log.entries.set(held.slot, held);
    Object.assign(log, { promised, settledThrough, trimmedThrough, lastSlot });
  };
  return { added, removed, undo };
}

function trimTo(log: StreamLog, through: number, removed: Held[]): void {
  for (let slot = log.trimmedThrough + 1; slot <= Math.min(through, log.lastSlot); slot++) {
    const held = log.entries.get(slot);
    if (held === undefined) continue;
    log.entries.delete(slot);
    removed.push(held);
  }
  log.trimmedThrough = Math.max(log.trimmedThrough, through);
}

function heldOf(
  entry: LogEntry,
  record: LogRecord,
  { place, nowMs }: { readonly place: Place; readonly nowMs: number },
): Held {
  return {
    slot: entry.slot,
    epoch: entry.epoch ?? record.promised ?? NO_EPOCH,
    isVoid: entry.void,
    id: entry.id,
    payload: entry.payload,
    payloadBytes: entry.payload.length,
    payloadDigest: murmur3(entry.payload),
    place,
    arrivedMs: nowMs,
  };
}

/** Untrimmed entries above `after`, in the order of slots. */
export function* heldAfter(log: StreamLog, after: number): Generator<Held> {
  for (let slot = Math.max(after, log.trimmedThrough) + 1; slot <= log.lastSlot; slot++) {
    const held = log.entries.get(slot);
    if (held !== undefined) yield held;
  }
}

/** What must be known of a stream when the segments that said it are gone. */
export function standingOf(log: StreamLog): LogRecord {
  const { stream, promised, settledThrough, trimmedThrough } = log;
  return { stream, promised, entries: [], settledThrough, trimmedThrough };
}

function emptyRecord(stream: string): LogRecord {
  return { stream, promised: undefined, entries: [], settledThrough: 0, trimmedThrough: 0 };
}
