/**
 * The streams that this process writes: opened when first needed, shared by all callers, closed when
 * another writer took them or when they are idle and room is needed. Also the consumer's side of
 * them: polls wait here for settled entries, and trims are gathered here for the logs.
 */
import type { TrimPoint } from "../../protos/gen/tricampus/queue/v1/log_codec.ts";
import type {
  Orphan,
  PollRequest,
  StreamEntries,
  StreamPosition,
} from "../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import {
  BACKLOGS_BYTES_MAX,
  POLL_BYTES_MAX,
  POLL_ENTRIES_MAX,
  POLL_STREAM_BYTES_MAX,
  POLLS_MAX,
  SCARCE_SHARE,
  STREAMS_OPEN_MAX,
  TOPIC_BACKLOGS_BYTES_MAX,
  TRIM_DELAY_MS,
} from "./limits.ts";
import { groupOf, type OpeningParts, openStream } from "./opening.ts";
import { compareEpochs, NO_EPOCH } from "./protocol/epoch.ts";
import { parseLogStream, topicOf } from "./protocol/segments.ts";
import { type Appending, Stream, type StreamEvents } from "./stream.ts";

type Trims = Map<number, Map<string, number>>;

const LIMIT = { entries: POLL_ENTRIES_MAX, bytes: POLL_STREAM_BYTES_MAX };

/** Bytes that wait for consumers, over all streams and over those of one topic. */
export interface BacklogLimits {
  readonly all: number;
  readonly topic: number;
}

const BACKLOGS = { all: BACKLOGS_BYTES_MAX, topic: TOPIC_BACKLOGS_BYTES_MAX };

export class Streams {
  readonly #parts: OpeningParts;
  readonly #backlogs: BacklogLimits;
  readonly #events: StreamEvents;
  /** Least recently used first. */
  readonly #open = new Map<string, Stream>();
  readonly #opening = new Map<string, Promise<Stream>>();
  /** Streams with settled entries that are not consumed. */
  readonly #loaded = new Set<Stream>();
  readonly #polls = new Set<() => void>();
  #isWaking = false;
  /** Over all streams, and by topic. */
  #heldBytes = 0;
  readonly #topicHeldBytes = new Map<string, number>();
  /** By group and stream: what was consumed lately, and what was when the timer last went off. */
  #trims: Trims = new Map();
  #ripeTrims: Trims = new Map();
  #trimTimer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(parts: OpeningParts, backlogs: BacklogLimits = BACKLOGS) {
    this.#parts = parts;
    this.#backlogs = backlogs;
    this.#events = {
      settled: (stream) => this.#settled(stream),
      closed: (stream) => this.#forget(stream),
      trim: (group, logStream, through) => this.#trim(group, logStream, through),
      held: ({ name }, bytes) => {
        this.#heldBytes += bytes;
        const topic = topicOf(name);
        if (topic !== "") this.#topicHeldBytes.set(topic, this.#heldOf(topic) + bytes);
      },
    };
  }

  /** The stream, written by this process from here on. */
  open(name: string): Promise<Stream> {
    const open = this.#open.get(name);
    if (open !== undefined) {
      this.#open.delete(name);
      this.#open.set(name, open);
      return Promise.resolve(open);
    }
    if (this.#isStopped) return Promise.reject(stopped());
    let opening = this.#opening.get(name);
    if (opening === undefined) {
      opening = this.#takeOver(name).finally(() => this.#opening.delete(name));
      this.#opening.set(name, opening);
    }
    return opening;
  }

  async append(name: string, entry: Appending): Promise<number> {
    const stream = this.#open.get(name) ?? (await this.open(name));
    this.#requireRoom(topicOf(name));
    return stream.append(entry);
  }

  #requireRoom(topic: string): void {
    const limits = this.#backlogs;
    const isTopicFull = this.#heldOf(topic) > limits.topic;
    if (this.#heldBytes <= limits.all && !isTopicFull) return;
    const bytes = isTopicFull ? this.#heldOf(topic) : this.#heldBytes;
    const message = `consumers are ${bytes} bytes behind in this campus; retry later`;
    throw new RpcError("RESOURCE_EXHAUSTED", message);
  }

  /** Whether there is soon no room for further entries of a topic. */
  isScarce(topic: string): boolean {
    const limits = this.#backlogs;
    if (this.#heldBytes > SCARCE_SHARE * limits.all) return true;
    return this.#heldOf(topic) > SCARCE_SHARE * limits.topic;
  }

  /** 0: of streams without a topic. */
  #heldOf(topic: string): number {
    return this.#topicHeldBytes.get(topic) ?? 0;
  }

  /** Settled entries of a topic that the asker was not given; waits for some until `waitMs` has passed. */
  async poll({ positions, waitMs, topic }: PollRequest): Promise<StreamEntries[]> {
    const given = new Map(positions.map(({ stream, through }) => [stream, through]));
    const found = this.#collect(given, topic);
    if (found.length > 0 || waitMs === 0 || this.#isStopped) return found;
    if (this.#polls.size >= POLLS_MAX) {
      throw new RpcError("RESOURCE_EXHAUSTED", `${POLLS_MAX} polls wait here already`);
    }
    const { promise, resolve } = Promise.withResolvers<StreamEntries[]>();
    const timer = setTimeout(() => resolve([]), waitMs);
    const look = () => {
      const news = this.#collect(given, topic);
      if (news.length > 0 || this.#isStopped) resolve(news);
    };
    this.#polls.add(look);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#polls.delete(look);
    }
  }

  consumed(positions: readonly StreamPosition[]): void {
    for (const { stream: name, through } of positions) {
      const stream = this.#open.get(name);
      if (stream === undefined) continue; // who writes it now finds out from its own consumer
      stream.consumed(through);
      if (!stream.hasEntries) this.#loaded.delete(stream);
    }
  }

  /** Looks after a stream's entries that another campus, or this one, found lying in a log. */
  async adopt(orphan: Orphan): Promise<void> {
    const { stream: name, id } = parseLogStream(orphan.logStream);
    let stream = await this.open(name);
    const last = stream.segments.at(-1)!;
    const isNewer = compareEpochs(orphan.promised ?? NO_EPOCH, stream.epoch) > 0;
    if (id === last.id && isNewer) {
      stream.close(new RpcError("FENCED", `${name} was taken over by another writer`));
      stream = await this.open(name);
    }
    if (stream.segments.some((segment) => segment.id === id)) stream.trim();
    else await stream.clearAway(orphan.group, id, orphan.lastSlot);
  }

  /** Trims that are not due yet are left to whoever finds the entries lying there (adoption.ts). */
  stop(): void {
    this.#isStopped = true;
    for (const stream of [...this.#open.values()]) stream.close(stopped());
    for (const look of [...this.#polls]) look();
    clearTimeout(this.#trimTimer);
  }

  async #takeOver(name: string): Promise<Stream> {
    const opened = await openStream(this.#parts, name);
    if (this.#isStopped) throw stopped();
    this.#makeRoom();
    const stream = new Stream(this.#parts, { name, opened, events: this.#events });
    this.#open.set(name, stream);
    if (stream.hasEntries) this.#settled(stream);
    return stream;
  }

  #makeRoom(): void {
    if (this.#open.size < STREAMS_OPEN_MAX) return;
    for (const stream of this.#open.values()) {
      if (!stream.isIdle) continue;
      stream.close(new RpcError("UNAVAILABLE", `${stream.name} was closed to make room; retry`));
      return;
    }
    throw new RpcError(
      "RESOURCE_EXHAUSTED",
      `${STREAMS_OPEN_MAX} streams are busy here; retry later`,
    );
  }

  #settled(stream: Stream): void {
    this.#loaded.add(stream);
    if (this.#isWaking || this.#polls.size === 0) return;
    this.#isWaking = true;
    // What other streams settle in this turn goes along.
    setImmediate(() => {
      this.#isWaking = false;
      for (const look of [...this.#polls]) look();
    });
  }

  #collect(given: ReadonlyMap<string, number>, topic: string): StreamEntries[] {
    const found: StreamEntries[] = [];
    let bytes = 0;
    for (const stream of this.#loaded) {
      if (topicOf(stream.name) !== topic) continue;
      const { after, entries } = stream.above(given.get(stream.name) ?? 0, LIMIT);
      if (entries.length === 0) continue;
      found.push({
        stream: stream.name,
        after,
        entries: entries.map(({ slot, id, payload, isVoid }) => ({
          slot,
          id,
          payload,
          void: isVoid,
        })),
      });
      for (const entry of entries) bytes += entry.payload.length;
      if (bytes >= POLL_BYTES_MAX) break;
    }
    // Who came late in this answer comes first in the next one.
    for (const { stream } of found) {
      const served = this.#open.get(stream);
      if (served !== undefined && this.#loaded.delete(served)) this.#loaded.add(served);
    }
    return found;
  }

  #forget(stream: Stream): void {
    if (this.#open.get(stream.name) === stream) this.#open.delete(stream.name);
    this.#loaded.delete(stream);
  }

  #trim(group: number, logStream: string, through: number): void {
    let points = this.#trims.get(group);
    if (points === undefined) {
      points = new Map();
      this.#trims.set(group, points);
    }
    points.set(logStream, Math.max(through, points.get(logStream) ?? 0));
    if (!this.#isStopped) this.#trimTimer ??= setTimeout(() => this.#sendTrims(), TRIM_DELAY_MS);
  }

  /** Twice a delay has passed for the oldest of what is sent, and once for the newest. */
  #sendTrims(): void {
    for (const [group, streams] of this.#ripeTrims) {
      const points: TrimPoint[] = [...streams].map(([stream, through]) => ({ stream, through }));
      groupOf(this.#parts, group).trim(points);
    }
    this.#ripeTrims = this.#trims;
    this.#trims = new Map();
    const isMore = this.#ripeTrims.size > 0;
    this.#trimTimer = isMore ? setTimeout(() => this.#sendTrims(), TRIM_DELAY_MS) : undefined;
  }
}

function stopped(): RpcError {
  return new RpcError("UNAVAILABLE", "this process is stopping; call another replica");
}
