/**
 * A stream over changes of its group: a list of segments, each a stream of its own in the logs of
 * one group, counted from 1 there. Slot n of a segment is the stream's slot firstSlot + n - 1.
 *
 * Changes are made by compare-and-set on the stream's record, by the writer that owns it:
 *   replaceLast  the writer that knows its end moves: everything not consumed lies in the new segment
 *                already, so the old one holds nothing that matters and leaves the list
 *   addSegment   the end of the last segment is not known: a new one is put behind it, unnumbered
 *   seal         that end is known now: what follows can be numbered
 *   dropFirst    an older segment was consumed to its end
 */
import assert from "node:assert";
import type { Segment, StreamRecord } from "../../../protos/gen/tricampus/queue/v1/disk_codec.ts";
import type { Epoch, LogEntry } from "../../../protos/gen/tricampus/queue/v1/log_codec.ts";
import type { Tail } from "./tail.ts";

const STREAM_LENGTH_MAX = 200;
const SEPARATOR = "#";

/** A stream's name must leave room for, and not look like, a segment's. */
export function isStreamName(name: string): boolean {
  return name.length > 0 && name.length <= STREAM_LENGTH_MAX && !name.includes(SEPARATOR);
}

/** Streams of one consumer share a topic: "hooks" of "hooks/17"; "" of a name without a slash. */
export function topicOf(name: string): string {
  return name.slice(0, Math.max(0, name.indexOf("/")));
}

/** What the segment is called in its logs. */
export function logStreamOf(stream: string, id: string): string {
  return id === "" ? stream : `${stream}${SEPARATOR}${id}`;
}

export function parseLogStream(name: string): { readonly stream: string; readonly id: string } {
  const at = name.indexOf(SEPARATOR);
  return at < 0
    ? { stream: name, id: "" }
    : { stream: name.slice(0, at), id: name.slice(at + SEPARATOR.length) };
}

/** The record of a stream that has none. */
export function unmoved(group: number): StreamRecord {
  return { owner: undefined, segments: [{ id: "", group, firstSlot: 1, length: undefined }] };
}

export function lastSegment(record: StreamRecord): Segment {
  return record.segments.at(-1)!;
}

export function claim(record: StreamRecord, owner: Epoch): StreamRecord {
  return { ...record, owner };
}

interface Change {
  readonly owner: Epoch;
  /** Where the new segment lies, and its id. */
  readonly group: number;
  readonly id: string;
}

/** `consumed`: slots at the start of the last segment that need not go along. */
export function replaceLast(
  record: StreamRecord,
  { owner, group, id, consumed }: Change & { readonly consumed: number },
): StreamRecord {
  const last = lastSegment(record);
  assert(last.firstSlot > 0 || consumed === 0, "an unnumbered segment cannot have been consumed");
  const firstSlot = last.firstSlot === 0 ? 0 : last.firstSlot + consumed;
  const replaced = { id, group, firstSlot, length: undefined };
  return { owner, segments: [...record.segments.slice(0, -1), replaced] };
}

export function addSegment(record: StreamRecord, { owner, group, id }: Change): StreamRecord {
  const added = { id, group, firstSlot: 0, length: undefined };
  return { owner, segments: [...record.segments, added] };
}

export function seal(record: StreamRecord, id: string, length: number): StreamRecord {
  const segments = record.segments.map((segment) => {
    if (segment.id !== id) return segment;
    assert(segment.length === undefined || segment.length === length, "a segment is sealed once");
    return { ...segment, length };
  });
  for (let i = 1; i < segments.length; i++) {
    const before = segments[i - 1]!;
    if (before.firstSlot === 0 || before.length === undefined) break;
    segments[i] = { ...segments[i]!, firstSlot: before.firstSlot + before.length };
  }
  return { ...record, segments };
}

export function dropFirst(record: StreamRecord): StreamRecord {
  assert(record.segments.length > 1, "the last segment stays");
  return { ...record, segments: record.segments.slice(1) };
}

/** An older segment as it was found. */
export interface OlderSegment {
  readonly segment: Segment;
  readonly tail: Tail;
}

export interface Rest {
  /** Slot of the stream through which everything was consumed. */
  readonly consumedThrough: number;
  /** Directly above it, in order, from the older segments. */
  readonly entries: readonly LogEntry[];
}

/**
 * What the older segments still hold for the consumer. Consuming goes in order, so where a later
 * segment was begun the earlier ones are done, whatever their logs remember; and what lies behind a
 * segment's length was never acknowledged and does not count.
 */
export function planRest(
  older: readonly OlderSegment[],
  last: { readonly firstSlot: number; readonly consumed: number },
): Rest {
  if (last.consumed > 0)
    return { consumedThrough: last.firstSlot - 1 + last.consumed, entries: [] };
  const begun = Math.max(
    0,
    older.findLastIndex(({ tail }) => tail.consumedThrough > 0),
  );
  const { segment, tail } = older[begun]!;
  const entries = older.slice(begun).flatMap(({ segment: { length }, tail: { entries: all } }) => {
    assert(length !== undefined, "an older segment is sealed before its rest is planned");
    return all.filter((entry) => entry.slot <= length);
  });
  return { consumedThrough: segment.firstSlot - 1 + tail.consumedThrough, entries };
}
