/**
 * Taking a stream over: fence its last segment at two of three logs, own its record, settle its end.
 *
 * The order matters. After the fence no older writer settles anything in that segment; after the
 * compare-and-set on the record no older writer seals or moves the stream; only then is anything
 * acknowledged or delivered. A stream's first writer has nobody to fear and writes no record.
 *
 * When the segment's group does not answer, a new segment in the other group is put behind it, and
 * what the old one holds is brought in later (`recoverOlder`).
 */

import type { Segment, StreamRecord } from "../../protos/gen/tricampus/queue/v1/disk_codec.ts";
import type { Epoch, LogEntry } from "../../protos/gen/tricampus/queue/v1/log_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { RpcError } from "../svrkit/errors.ts";
import { rest } from "../svrkit/rest.ts";
import { BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, OPEN_ATTEMPTS_MAX } from "./limits.ts";
import type { LogGroup } from "./log-group.ts";
import { firstGroup, otherGroup } from "./protocol/placement.ts";
import { addSegment, claim, lastSegment, logStreamOf, unmoved } from "./protocol/segments.ts";
import { type FenceAnswer, mustClaim, planTail, type Tail } from "./protocol/tail.ts";
import type { SegmentStore } from "./segment-store.ts";

export interface OpeningParts {
  /** By number. */
  readonly groups: ReadonlyMap<number, LogGroup>;
  readonly store: SegmentStore;
  /** "b.12": this process, unique per start. */
  readonly process: string;
  /** Rises with each opening in this process. */
  nextOpening(): number;
}

/** A segment under this writer's epoch. */
export interface Fenced {
  readonly epoch: Epoch;
  readonly tail: Tail;
  readonly answers: readonly FenceAnswer[];
}

export interface Opened {
  readonly epoch: Epoch;
  readonly record: StreamRecord;
  readonly version: number;
  readonly tail: Tail;
  /** Monotonic time at which the record was surely this writer's. */
  readonly ownedMs: number;
}

type Attempt<T> =
  | { readonly state: "done"; readonly value: T }
  | { readonly state: "lost"; readonly reason: string }
  | { readonly state: "again" };

export async function openStream(parts: OpeningParts, stream: string): Promise<Opened> {
  for (let attempt = 0; attempt < OPEN_ATTEMPTS_MAX; attempt++) {
    if (attempt > 0) await pause(attempt);
    const stored = await parts.store.read(stream);
    const record = stored.record ?? unmoved(firstGroup(stream));
    const standing = { record, version: stored.version };
    const opened = await openLast(parts, stream, standing);
    if (opened.state === "done") return opened.value;
    if (opened.state === "lost") {
      const added = await openBehind(parts, stream, standing);
      if (added.state === "done") return added.value;
      if (added.state === "lost") {
        throw new RpcError(
          "NO_QUORUM",
          `neither group of queue logs takes ${stream}: ${added.reason}`,
        );
      }
    }
  }
  throw new RpcError("UNAVAILABLE", `others open ${stream} at the same time; retry`);
}

type Standing = Pick<Opened, "record" | "version">;

async function openLast(
  parts: OpeningParts,
  stream: string,
  { record, version }: Standing,
): Promise<Attempt<Opened>> {
  const segment = lastSegment(record);
  const fenced = await fenceSegment(parts, {
    stream,
    segment,
    aboveRound: record.owner?.round ?? 0,
  });
  if (fenced.state !== "done") return fenced;
  const { epoch, tail, answers } = fenced.value;
  const ownedMs = monotonicMs();
  const isFirst = version === 0 && !mustClaim(answers, parts.process);
  const owned = isFirst
    ? await recheck(parts, stream, { record, version })
    : await claimRecord(parts, stream, { record: claim(record, epoch), version });
  if (owned === undefined) return { state: "again" };
  const settled = await settleTail(parts, { stream, segment, fenced: fenced.value });
  if (settled.state !== "done") return settled;
  return { state: "done", value: { epoch, tail, ...owned, ownedMs } };
}

async function claimRecord(
  parts: OpeningParts,
  stream: string,
  { record, version }: Standing,
): Promise<Standing | undefined> {
  const newVersion = await parts.store.compareAndSet(stream, record, version);
  return newVersion === undefined ? undefined : { record, version: newVersion };
}

/** A first writer writes no record; but while it fenced, another may have moved the stream on. */
async function recheck(
  parts: OpeningParts,
  stream: string,
  standing: Standing,
): Promise<Standing | undefined> {
  const { version } = await parts.store.read(stream);
  return version === standing.version ? standing : undefined;
}

/** The last segment's group does not answer: a new segment behind it, in the other group. */
async function openBehind(
  parts: OpeningParts,
  stream: string,
  { record, version }: Standing,
): Promise<Attempt<Opened>> {
  const last = lastSegment(record);
  const group = otherGroup(last.group);
  const id = newSegmentId(parts);
  const segment = { id, group };
  const fenced = await fenceSegment(parts, {
    stream,
    segment,
    aboveRound: record.owner?.round ?? 0,
  });
  if (fenced.state !== "done") return fenced;
  const { epoch, tail } = fenced.value;
  const ownedMs = monotonicMs();
  const added = addSegment(record, { owner: epoch, group, id });
  const owned = await claimRecord(parts, stream, { record: added, version });
  if (owned === undefined) return { state: "again" };
  return { state: "done", value: { epoch, tail, ...owned, ownedMs } };
}

/** An older segment, fenced and settled: its end stands from here on. */
export async function recoverOlder(
  parts: OpeningParts,
  stream: string,
  segment: Segment,
): Promise<Attempt<Tail>> {
  const fenced = await fenceSegment(parts, { stream, segment, aboveRound: 0 });
  if (fenced.state !== "done") return fenced;
  const settled = await settleTail(parts, { stream, segment, fenced: fenced.value });
  return settled.state === "done" ? { state: "done", value: fenced.value.tail } : settled;
}

interface SegmentToFence {
  readonly stream: string;
  readonly segment: Pick<Segment, "id" | "group">;
  readonly aboveRound: number;
}

/** Used by nobody before, so nothing lies in the logs under it. */
export function newSegmentId(parts: OpeningParts): string {
  return `${parts.process}.${parts.nextOpening()}`;
}

/** Fences with rising rounds, as long as others turn out to have been there before. */
export async function fenceSegment(
  parts: OpeningParts,
  { stream, segment, aboveRound }: SegmentToFence,
): Promise<Attempt<Fenced>> {
  const group = groupOf(parts, segment.group);
  const writer = `${parts.process}.${parts.nextOpening()}`;
  let round = aboveRound + 1;
  for (let attempt = 0; attempt < OPEN_ATTEMPTS_MAX; attempt++) {
    if (attempt > 1) await pause(attempt);
    const epoch = { round, writer };
    const decided = await group.fence(logStreamOf(stream, segment.id), epoch);
    if (decided.state === "lost") return decided;
    if (decided.state === "settled") {
      const { answers } = decided;
      return { state: "done", value: { epoch, tail: planTail(answers), answers } };
    }
    round = decided.promised.round + 1;
  }
  return { state: "again" };
}

async function settleTail(
  parts: OpeningParts,
  {
    stream,
    segment,
    fenced,
  }: { stream: string; segment: Pick<Segment, "id" | "group">; fenced: Fenced },
): Promise<Attempt<undefined>> {
  const { epoch, tail } = fenced;
  const group = groupOf(parts, segment.group);
  for (const entries of batches(tail.unsettled)) {
    const settledThrough = entries[0]!.slot - 1;
    const decided = await group.append({
      stream: logStreamOf(stream, segment.id),
      epoch,
      entries: entries.map((entry) => ({ ...entry, epoch: undefined })),
      settledThrough,
    });
    if (decided.state === "lost") return decided;
    if (decided.state === "fenced") return { state: "again" };
  }
  return { state: "done", value: undefined };
}

/** Cuts entries into pieces that one call carries. */
export function batches(entries: readonly LogEntry[]): LogEntry[][] {
  const found: LogEntry[][] = [];
  let bytes = 0;
  for (const entry of entries) {
    const size = entry.payload.length + entry.id.length;
    const batch = found.at(-1);
    if (
      batch === undefined ||
      batch.length >= BATCH_ENTRIES_MAX ||
      bytes + size > BATCH_BYTES_MAX
    ) {
      found.push([entry]);
      bytes = size;
    } else {
      batch.push(entry);
      bytes += size;
    }
  }
  return found;
}

export function groupOf(parts: Pick<OpeningParts, "groups">, group: number): LogGroup {
  const found = parts.groups.get(group);
  if (found === undefined) throw new RpcError("INTERNAL", `there is no queue group ${group}`);
  return found;
}

/** Jittered, so that two that open the same stream do not keep step. */
function pause(attempt: number): Promise<void> {
  const pauseMs = Math.min(100, 5 * 2 ** attempt) * (0.5 + Math.random());
  return rest(pauseMs);
}
