/**
 * A stream written by this process: callers' entries go to the logs of its last segment, one batch
 * at a time, everything that comes meanwhile being the next batch; what two logs hold is settled,
 * acknowledged, and kept for the consumer until it is consumed.
 *
 * A stream that is fenced, or whose logs and store do not let it go on, is closed for good: what
 * becomes of the entries under way is unknown then, and the callers' next attempt, here or in
 * another campus, opens the stream anew and finds them by their ids.
 */
import type { Segment, StreamRecord } from "../../protos/gen/tricampus/queue/v1/disk_codec.ts";
import type { Epoch, LogEntry } from "../../protos/gen/tricampus/queue/v1/log_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { RpcError } from "../svrkit/errors.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { sampledOrNone } from "../svrkit/tracing/context.ts";
import {
  BACKLOG_BYTES_MAX,
  BATCH_BYTES_MAX,
  BATCH_ENTRIES_MAX,
  CONSUMED_IDS_MAX,
  OLDER_RETRY_MS,
  OWNERSHIP_MS,
} from "./limits.ts";
import {
  batches,
  fenceSegment,
  groupOf,
  newSegmentId,
  type Opened,
  type OpeningParts,
  recoverOlder,
} from "./opening.ts";
import { Backlog, type BacklogEntry, type NumberedEntry } from "./protocol/backlog.ts";
import { campusOf } from "./protocol/epoch.ts";
import { otherGroup } from "./protocol/placement.ts";
import {
  dropFirst,
  lastSegment,
  logStreamOf,
  type OlderSegment,
  planRest,
  replaceLast,
  seal,
} from "./protocol/segments.ts";

const settledCount = monitorId("queue.entries_settled");
const moves = monitorId("queue.streams_moved");

export interface StreamEvents {
  /** There are new entries for the consumer, or the old ones got their numbers. */
  settled(stream: Stream): void;
  closed(stream: Stream): void;
  trim(group: number, logStream: string, through: number): void;
  /** The bytes that the stream holds in memory changed by so many. */
  held(stream: Stream, bytes: number): void;
}

interface Carrying {
  readonly group: number;
  readonly id: string;
  readonly epoch: Epoch;
  readonly carried: readonly BacklogEntry[];
}

/** An entry as a caller gives it. */
export interface Appending {
  readonly id: Uint8Array;
  readonly payload: Uint8Array;
  readonly trace: Uint8Array;
}

interface Waiting {
  readonly entry: BacklogEntry;
  readonly trace: Uint8Array;
  readonly settled: Promise<number>;
  resolve(slot: number): void;
  reject(error: RpcError): void;
}

export class Stream {
  readonly name: string;
  readonly #parts: OpeningParts;
  readonly #events: StreamEvents;
  #epoch: Epoch;
  #record: StreamRecord;
  #version: number;
  #recordChanges: Promise<void> = Promise.resolve();
  /** Of the last segment, in its own slots. */
  #settledThrough: number;
  readonly #consumedAtOpen: number;
  /** When the logs last granted something, or the record was last found to be this writer's. */
  #grantedMs: number;
  #backlog: Backlog;
  #waiting: Waiting[] = [];
  readonly #waitingById = new Map<string, Waiting>();
  #waitingBytes = 0;
  #accountedBytes = 0;
  #isWriting = false;
  #isMoving = false;
  #closedBy: RpcError | undefined;
  #olderTimer: NodeJS.Timeout | undefined;
  /** Older segments that are numbered and not consumed to their end, and where that is. */
  #older: { readonly segment: Segment; readonly throughSlot: number }[] = [];

  constructor(
    parts: OpeningParts,
    { name, opened, events }: { name: string; opened: Opened; events: StreamEvents },
  ) {
    this.#parts = parts;
    this.name = name;
    this.#events = events;
    this.#epoch = opened.epoch;
    this.#record = opened.record;
    this.#version = opened.version;
    this.#settledThrough = opened.tail.lastSlot;
    this.#grantedMs = opened.ownedMs;
    this.#consumedAtOpen = opened.tail.consumedThrough;
    const isNumbered = opened.record.segments.length === 1;
    const { firstSlot } = lastSegment(opened.record);
    this.#backlog = new Backlog(
      isNumbered ? firstSlot - 1 + opened.tail.consumedThrough : undefined,
      { consumedIdsMax: CONSUMED_IDS_MAX },
    );
    for (const entry of opened.tail.entries) this.#backlog.push(kept(entry));
    if (!isNumbered) this.#bringInOlder([]);
    this.#account();
  }

  get isIdle(): boolean {
    return !this.#isWriting && this.#waiting.length === 0 && this.#backlog.length === 0;
  }

  /** Settled entries wait for their consumer. */
  get hasEntries(): boolean {
    return this.#backlog.length > 0;
  }

  get epoch(): Epoch {
    return this.#epoch;
  }

  get segments(): readonly Segment[] {
    return this.#record.segments;
  }

  /** Resolves to the slot when the entry is held by two logs; the bytes given are copied. */
  append({ id, payload, trace }: Appending): Promise<number> {
    if (this.#closedBy !== undefined) return Promise.reject(this.#closedBy);
    const key = Buffer.from(id).toString("latin1");
    const slot = this.#backlog.slotOf(id);
    if (slot !== undefined) return Promise.resolve(slot);
    const known = this.#waitingById.get(key);
    if (known !== undefined) return known.settled;
    if (this.#accountedBytes + payload.length > BACKLOG_BYTES_MAX) {
      const message = `${this.name}: its consumer is ${this.#accountedBytes} bytes behind; retry`;
      return Promise.reject(new RpcError("RESOURCE_EXHAUSTED", message));
    }
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const entry = { id: new Uint8Array(id), payload: new Uint8Array(payload), isVoid: false };
    const waiting = { entry, trace: sampledOrNone(trace), settled: promise, resolve, reject };
    this.#waiting.push(waiting);
    this.#waitingById.set(key, waiting);
    this.#waitingBytes += payload.length + id.length;
    this.#account();
    if (!this.#isWriting) this.#run(this.#writeAll());
    return promise;
  }

  /** Settled entries above `after`; from the first unconsumed one when that is higher. */
  above(
    after: number,
    limit: { readonly entries: number; readonly bytes: number },
  ): { readonly after: number; readonly entries: readonly NumberedEntry[] } {
    const start = Math.max(after, this.#backlog.consumedThrough ?? 0);
    return { after: start, entries: this.#backlog.above(start, limit) };
  }

  consumed(through: number): void {
    if (this.#backlog.consume(through) === 0) return;
    this.#account();
    this.trim();
    if (this.#older.length > 0) this.#run(this.#dropOlder(this.#backlog.consumedThrough!));
  }

  /** Tells the logs what was consumed; they may have missed it. */
  trim(): void {
    const last = lastSegment(this.#record);
    const consumed = this.#consumedOf(last);
    if (consumed > 0) this.#events.trim(last.group, logStreamOf(this.name, last.id), consumed);
  }

  /**
   * What the logs hold under the name of a segment that the record does not list was left by a move
   * that failed, or moved away: it may go, if the record is still this writer's, for then nobody
   * else's move can succeed any more.
   */
  async clearAway(group: number, id: string, lastSlot: number): Promise<void> {
    await this.#recordChanges;
    const isListed = () => this.#record.segments.some((segment) => segment.id === id);
    if (isListed() || this.#isMoving) return;
    const { version } = await this.#parts.store.read(this.name);
    if (isListed() || this.#isMoving || this.#closedBy !== undefined) return;
    if (version !== this.#version) this.close(this.#takenOver());
    else this.#events.trim(group, logStreamOf(this.name, id), lastSlot);
  }

  /** Takes no more part; callers still waiting are told why. */
  close(reason: RpcError): void {
    if (this.#closedBy !== undefined) return;
    this.#closedBy = reason;
    clearTimeout(this.#olderTimer);
    for (const waiting of this.#waitingById.values()) waiting.reject(reason);
    this.#waitingById.clear();
    this.#waiting = [];
    this.#account();
    this.#events.closed(this);
  }

  #account(): void {
    const isOpen = this.#closedBy === undefined;
    const bytes = isOpen ? this.#backlog.bytes + this.#waitingBytes : 0;
    this.#events.held(this, bytes - this.#accountedBytes);
    this.#accountedBytes = bytes;
  }

  /** A defect or a store that fails closes the stream: opening it again starts from what is durable. */
  #run(work: Promise<void>): void {
    work.catch((error: unknown) => this.close(RpcError.from(error)));
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    // One turn of the event loop: what arrived in the same read goes into the same batch.
    await Promise.resolve();
    while (this.#waiting.length > 0 && this.#closedBy === undefined) {
      await this.#write(this.#takeBatch());
    }
    this.#isWriting = false;
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    await this.#requireOwned();
    const entries = batch.map((waiting) => waiting.entry);
    // The logs' part of a batch with a traced entry is in the trace of the first one.
    const trace = batch.find((waiting) => waiting.trace.length > 0)?.trace;
    let isSettled = await this.#appendHere(entries, trace);
    if (!isSettled) {
      this.#isMoving = true;
      await this.#moveOn();
      this.#isMoving = false;
      isSettled = await this.#appendHere(entries, trace);
    }
    if (!isSettled) throw this.#noQuorum();
    if (this.#closedBy !== undefined) return;
    for (const waiting of batch) {
      const slot = this.#backlog.push(waiting.entry);
      this.#waitingById.delete(Buffer.from(waiting.entry.id).toString("latin1"));
      this.#waitingBytes -= waiting.entry.payload.length + waiting.entry.id.length;
      waiting.resolve(slot);
    }
    monitor.add(settledCount, batch.length);
    this.#account();
    this.#events.settled(this);
  }

  /**
   * While a group is lost another campus may put a new segment behind this one without being able to
   * fence it. Were the group to return, entries written here would come before those written there,
   * although they were sent later. That takes a second without a grant, so a writer with fresh grants
   * need not ask; the answer only has to be newer than the entries about to be written.
   */
  async #requireOwned(): Promise<void> {
    if (monotonicMs() - this.#grantedMs < OWNERSHIP_MS) return;
    await this.#recordChanges;
    const { version } = await this.#parts.store.read(this.name);
    if (version !== this.#version) throw this.#takenOver();
  }

  #takeBatch(): readonly Waiting[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && count < BATCH_ENTRIES_MAX) {
      const { entry } = this.#waiting[count]!;
      bytes += entry.payload.length + entry.id.length;
      if (count > 0 && bytes > BATCH_BYTES_MAX) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  /** Appends to the last segment: false when its group does not answer; throws when fenced. */
  async #appendHere(
    entries: readonly BacklogEntry[],
    trace: Uint8Array | undefined,
  ): Promise<boolean> {
    const { id, group } = lastSegment(this.#record);
    const numbered = entries.map((entry, i) => logEntry(entry, this.#settledThrough + 1 + i));
    for (const part of batches(numbered)) {
      const request = {
        stream: logStreamOf(this.name, id),
        epoch: this.#epoch,
        entries: part,
        settledThrough: this.#settledThrough,
      };
      const decided = await groupOf(this.#parts, group).append(request, trace);
      if (decided.state === "lost") return false;
      if (decided.state === "fenced") throw this.#fenced(decided.promised);
      this.#settledThrough = part.at(-1)!.slot;
      this.#grantedMs = monotonicMs();
    }
    return true;
  }

  /**
   * The segment's group is gone: on to the other one, with everything that is not consumed. The new
   * segment holds it all before the record leads there. Nobody else can have acknowledged anything in
   * the old one: they would have changed the record first, and the compare-and-set would fail.
   */
  async #moveOn(): Promise<void> {
    const group = otherGroup(lastSegment(this.#record).group);
    const id = newSegmentId(this.#parts);
    const aboveRound = this.#epoch.round;
    const segment = { id, group };
    const fenced = await fenceSegment(this.#parts, { stream: this.name, segment, aboveRound });
    if (fenced.state !== "done") throw this.#noQuorum();
    const { epoch } = fenced.value;
    let carried: readonly BacklogEntry[] = [];
    await this.#changeRecord(async (record) => {
      // What goes along and what need not are of one moment: nothing is awaited between.
      carried = this.#backlog.from(this.#olderEntries());
      const consumed = this.#consumedOf(lastSegment(record));
      await this.#carry({ group, id, epoch, carried });
      return replaceLast(record, { owner: epoch, group, id, consumed });
    });
    this.#epoch = epoch;
    this.#settledThrough = carried.length;
    this.#grantedMs = monotonicMs();
    monitor.add(moves, 1);
  }

  async #carry({ group, id, epoch, carried }: Carrying): Promise<void> {
    const stream = logStreamOf(this.name, id);
    for (const entries of batches(carried.map((entry, i) => logEntry(entry, 1 + i)))) {
      const settledThrough = entries[0]!.slot - 1;
      const request = { stream, epoch, entries, settledThrough };
      const decided = await groupOf(this.#parts, group).append(request);
      if (decided.state === "fenced") throw this.#fenced(decided.promised);
      if (decided.state === "lost") throw this.#noQuorum();
    }
  }

  /** Entries at the front of the backlog that lie in older segments. */
  #olderEntries(): number {
    const throughSlot = this.#older.at(-1)?.throughSlot ?? 0;
    return Math.max(0, throughSlot - (this.#backlog.consumedThrough ?? throughSlot));
  }

  #consumedOf(last: Segment): number {
    if (last.firstSlot === 0) return 0;
    return Math.max(0, (this.#backlog.consumedThrough ?? 0) - last.firstSlot + 1);
  }

  /** Changes of the record follow one another; one that another writer got ahead of fails. */
  #changeRecord(
    plan: (record: StreamRecord) => StreamRecord | Promise<StreamRecord>,
  ): Promise<void> {
    const change = this.#recordChanges.then(async () => {
      const record = await plan(this.#record);
      const version = await this.#parts.store.compareAndSet(this.name, record, this.#version);
      if (version === undefined) {
        throw this.#takenOver();
      }
      this.#record = record;
      this.#version = version;
    });
    this.#recordChanges = change.catch(() => {}); // whoever asked for it hears
    return change;
  }

  /** Recovers the older segments, from the oldest on; `found` is what came of those before. */
  #bringInOlder(found: readonly OlderSegment[]): void {
    const segment = this.#record.segments[found.length]!;
    if (segment.id === lastSegment(this.#record).id) this.#number(found);
    else this.#run(this.#bringIn(segment, found));
  }

  async #bringIn({ id }: Segment, found: readonly OlderSegment[]): Promise<void> {
    const at = found.length;
    const recovered = await recoverOlder(this.#parts, this.name, this.#record.segments[at]!);
    if (this.#closedBy !== undefined) return;
    if (recovered.state !== "done") {
      this.#olderTimer = setTimeout(() => this.#bringInOlder(found), OLDER_RETRY_MS);
      return;
    }
    const tail = recovered.value;
    if (this.#record.segments[at]!.length === undefined) {
      await this.#changeRecord((record) => seal(record, id, tail.lastSlot));
    }
    this.#bringInOlder([...found, { segment: this.#record.segments[at]!, tail }]);
  }

  #number(found: readonly OlderSegment[]): void {
    const last = lastSegment(this.#record);
    const rest = planRest(found, { firstSlot: last.firstSlot, consumed: this.#consumedAtOpen });
    this.#older = found.map(({ segment }) => {
      return { segment, throughSlot: segment.firstSlot - 1 + segment.length! };
    });
    this.#backlog.prepend(rest.entries.map(kept), rest.consumedThrough);
    this.#run(this.#dropOlder(rest.consumedThrough));
    if (this.#closedBy !== undefined) return;
    this.#account();
    this.#events.settled(this);
  }

  /** Older segments that were consumed to their end leave the record. */
  async #dropOlder(consumedThrough: number): Promise<void> {
    while (this.#older[0] !== undefined && this.#older[0].throughSlot <= consumedThrough) {
      const { segment } = this.#older.shift()!;
      this.#events.trim(segment.group, logStreamOf(this.name, segment.id), segment.length!);
      await this.#changeRecord(dropFirst);
    }
  }

  #takenOver(): RpcError {
    return new RpcError("FENCED", `${this.name} was taken over by another writer`);
  }

  #fenced(promised: Epoch): RpcError {
    return new RpcError("FENCED", `${this.name} is written by campus ${campusOf(promised)} now`);
  }

  #noQuorum(): RpcError {
    return new RpcError("NO_QUORUM", `fewer than two of three logs take ${this.name}; retry`);
  }
}

function kept(entry: LogEntry): BacklogEntry {
  return {
    id: new Uint8Array(entry.id),
    payload: new Uint8Array(entry.payload),
    isVoid: entry.void,
  };
}

function logEntry({ id, payload, isVoid }: BacklogEntry, slot: number): LogEntry {
  return { slot, epoch: undefined, void: isVoid, payload, id };
}
