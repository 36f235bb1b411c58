/**
 * A stream over changes of its group: a list of segments, each a stream of its own in the logs of
 * one group, numbered from 1 there. Slot n of a segment is the stream's slot firstSlot + n - 1.
 *
 * Changes are made by compare-and-set on the stream's record, by the writer that owns it:
 *   replaceLast  the writer that knows its end moves: everything not consumed goes along, so the old
 *                segment holds nothing that matters any more and leaves the list
 *   addSegment   the end of the last segment is not known: a new one is put behind it, unnumbered
 *   seal         that end is known now: what follows can be numbered
 *   dropFirst    an older segment was consumed to its end
 */
import assert from "node:assert";
import type { Segment, StreamRecord } from "../../../protos/gen/tricampus/queue/v1/disk_codec.ts";
import type { Epoch } from "../../../protos/gen/tricampus/queue/v1/log_codec.ts";

export const STREAM_LENGTH_MAX = 200;
const SEPARATOR = "#";

/** A stream's name must leave room for, and not look like, a segment's. */
export function isStreamName(name: string): boolean {
  return name.length > 0 && name.length <= STREAM_LENGTH_MAX && !name.includes(SEPARATOR);
}

/** What the segment is called in its logs. */
export function logStreamOf(stream: string, index: number): string {
  return index === 0 ? stream : `${stream}${SEPARATOR}${index}`;
}

export function parseLogStream(name: string): { readonly stream: string; readonly index: number } {
  const at = name.indexOf(SEPARATOR);
  return at < 0
    ? { stream: name, index: 0 }
    : { stream: name.slice(0, at), index: Number(name.slice(at + 1)) };
}

/** The record of a stream that has none. */
export function unmoved(group: number): StreamRecord {
  return { owner: undefined, segments: [{ index: 0, group, firstSlot: 1, length: undefined }] };
}

export function lastSegment(record: StreamRecord): Segment {
  return record.segments.at(-1)!;
}

export function claim(record: StreamRecord, owner: Epoch): StreamRecord {
  return { ...record, owner };
}

interface Change {
  readonly owner: Epoch;
  readonly group: number;
}

/** `consumed`: slots at the start of the last segment that need not go along. */
export function replaceLast(
  record: StreamRecord,
  { owner, group, consumed }: Change & { readonly consumed: number },
): StreamRecord {
  const last = lastSegment(record);
  assert(last.firstSlot > 0 || consumed === 0, "an unnumbered segment cannot have been consumed");
  const firstSlot = last.firstSlot === 0 ? 0 : last.firstSlot + consumed;
  const replaced = { index: last.index + 1, group, firstSlot, length: undefined };
  return { owner, segments: [...record.segments.slice(0, -1), replaced] };
}

export function addSegment(record: StreamRecord, { owner, group }: Change): StreamRecord {
  const added = { index: lastSegment(record).index + 1, group, firstSlot: 0, length: undefined };
  return { owner, segments: [...record.segments, added] };
}

export function seal(record: StreamRecord, index: number, length: number): StreamRecord {
  const segments = record.segments.map((segment) => {
    if (segment.index !== index) return segment;
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
