/**
 * The engine of a log: append-only segment files with group commit. The files lie in a folder of this
 * machine (the embedded engine), or in a JetStream stream (jetstream-folder.ts: the NATS engine).
 *
 * Calls that come while a batch is being synced wait and make up the next batch: one write and one
 * fdatasync for all of them, however many. They are judged in the order they came, when their batch
 * starts, on a state that is durable but for the batch itself; when the disk takes the write, all
 * are answered, and when it refuses, the state goes back and the file is cut to where it was. So
 * nothing that was answered can be lost, and nothing that was refused is remembered.
 *
 * Trims are written with the next batch that happens anyway. A new segment starts with the standing
 * of every stream; when that is durable, older segments without an untrimmed entry are deleted.
 */
import type { LogRecord } from "../../../protos/gen/tricampus/queue/v1/disk_codec.ts";
import type {
  Epoch,
  FenceReply,
  ListStandingsReply,
  LogAppendReply,
  LogEntry,
  LogReadReply,
  StreamStanding,
  StreamState,
} from "../../../protos/gen/tricampus/queue/v1/log_codec.ts";
import { RpcError } from "../../svrkit/errors.ts";
import type { Position } from "../../svrkit/known-disk.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import {
  applyRecord,
  type Held,
  heldAfter,
  type Judgement,
  judgeAdoption,
  judgeAppend,
  judgeFence,
  newStreamLog,
  type StreamLog,
  standingOf,
  UNKNOWN_STREAMS,
} from "../protocol/stream-log.ts";
import type { EngineAppend, LogEngine } from "./engine.ts";
import { isRefusal } from "./files.ts";
import { PayloadCache } from "./payload-cache.ts";
import { Segments, type SegmentsOptions } from "./segments.ts";

const PAGE_BYTES_MAX = 512 * 1024;
const PAGE_ENTRIES_MAX = 2_000;
const PAGE_STANDINGS_MAX = 1_000;

export interface EmbeddedOptions extends SegmentsOptions {
  /** Payloads of untrimmed entries kept in memory, bytes; the rest is read from the files. */
  readonly cacheBytesMax: number;
  readonly nowMs: () => number;
  /** Why what was written before is gone: the log opens, and refuses everything in these words. */
  readonly lost?: string | undefined;
  /** The disk may have lost what it took: the process must end. Called at most once. */
  readonly fatal: (error: unknown) => void;
}

/** A call that waits for its batch. */
interface Waiting {
  readonly stream: string;
  judge(log: StreamLog): Judgement;
  /** Its batch is durable. */
  settle(judgement: Judgement): void;
  fail(error: unknown): void;
}

export class EmbeddedLog implements LogEngine {
  readonly #options: EmbeddedOptions;
  readonly #segments: Segments;
  readonly #streams = new Map<string, StreamLog>();
  readonly #cache: PayloadCache;
  readonly #fsyncs = monitorId("queuelog.fsyncs");
  #waiting: Waiting[] = [];
  readonly #reads: (() => void)[] = [];
  /** Trim points asked for, until the batch under way is done. */
  readonly #trims = new Map<StreamLog, number>();
  /** Streams whose trim point is newer than on disk. */
  readonly #unwrittenTrims = new Set<StreamLog>();
  #running: Promise<void> | undefined;
  #state: "open" | "closed" | "broken" = "open";
  #refusal: string | undefined;

  private constructor(options: EmbeddedOptions) {
    this.#options = options;
    this.#segments = new Segments(options);
    this.#cache = new PayloadCache(options.cacheBytesMax);
  }

  /** Replays the files. A damaged log opens as well, and refuses everything in words. */
  static async open(options: EmbeddedOptions): Promise<EmbeddedLog> {
    const engine = new EmbeddedLog(options);
    engine.#refusal = options.lost;
    if (options.lost !== undefined) return engine;
    const arrivedMs = Number.NEGATIVE_INFINITY;
    const opened = await engine.#segments.replay((record, place) => {
      engine.#apply(engine.#streamLog(record.stream), ownedBytes(record), place, arrivedMs);
    });
    if (opened.state === "damaged") {
      engine.#refusal = `this log is damaged and votes no more: ${opened.reason}`;
    }
    return engine;
  }

  /** Why this log takes no part in anything; undefined when it does. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** How far the disk surely goes; it only rises. */
  get durable(): Position {
    return this.#segments.durable;
  }

  async fence(stream: string, epoch: Epoch): Promise<FenceReply> {
    const judgement = await this.#commit(stream, (log) => judgeFence(log, epoch));
    const log = this.#streamLog(stream);
    const { trimmedThrough, settledThrough } = log;
    if (judgement.verdict === "refused") {
      const { promised } = judgement;
      return { ...NO_FENCE, promised };
    }
    const page = await this.#page(log, trimmedThrough);
    const previous = judgement.previous.round === 0 ? undefined : judgement.previous;
    const standing = { trimmedThrough, settledThrough };
    return { ...NO_FENCE, granted: true, ...standing, ...page, previous };
  }

  async append(request: EngineAppend): Promise<LogAppendReply> {
    const judgement = await this.#commit(request.stream, (log) => judgeAppend(log, request));
    return judgement.verdict === "granted"
      ? { granted: true, promised: undefined }
      : { granted: false, promised: judgement.promised };
  }

  /** Served between batches, so that it never shows what is not durable. */
  async read(stream: string, after: number): Promise<LogReadReply> {
    this.#requireOpen();
    if (this.#running !== undefined) {
      await new Promise<void>((resolve) => this.#reads.push(resolve));
    }
    const log = this.#streams.get(stream);
    return log === undefined ? { entries: [], more: false } : this.#page(log, after);
  }

  trim(stream: string, through: number): void {
    const log = this.#streams.get(stream);
    if (log === undefined || log.trimmedThrough >= through) return;
    this.#trims.set(log, Math.max(through, this.#trims.get(log) ?? 0));
    if (this.#running === undefined) this.#applyTrims();
  }

  /** Between batches, for a batch that is refused goes back to the state at its start. */
  #applyTrims(): void {
    for (const [log, trimmedThrough] of this.#trims) {
      const record = { ...standingOf(log), trimmedThrough };
      this.#apply(log, record, NO_PLACE, this.#options.nowMs());
      this.#unwrittenTrims.add(log);
    }
    this.#trims.clear();
  }

  list(): StreamState[] {
    this.#requireOpen();
    const nowMs = this.#options.nowMs();
    const found: StreamState[] = [];
    for (const log of this.#streams.values()) {
      if (log.entries.size === 0) continue;
      const [oldest] = heldAfter(log, 0);
      const ageMs = Math.min(nowMs - (oldest?.arrivedMs ?? nowMs), Number.MAX_SAFE_INTEGER);
      const { stream, lastSlot, trimmedThrough, promised } = log;
      found.push({ stream, lastSlot, trimmedThrough, oldestAgeMs: Math.round(ageMs), promised });
    }
    return found;
  }

  standings(after: string): ListStandingsReply {
    this.#requireOpen();
    const names = [...this.#streams.keys()].filter((name) => name > after).sort();
    const page = names.slice(0, PAGE_STANDINGS_MAX);
    const standings = page.map((name): StreamStanding => {
      const { stream, promised, settledThrough, trimmedThrough } = this.#streams.get(name)!;
      return { stream, promised, settledThrough, trimmedThrough };
    });
    return { standings, more: page.length < names.length };
  }

  async adopt(standing: StreamStanding, entries: readonly LogEntry[]): Promise<void> {
    await this.#commit(standing.stream, () => judgeAdoption(standing, entries));
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return;
    const wasOpen = this.#state === "open" && this.#refusal === undefined;
    this.#state = "closed";
    await this.#running;
    if (wasOpen && this.#unwrittenTrims.size > 0) await this.#writeBatch([]).catch(() => {}); // a hint
    await this.#segments.close();
  }

  #commit(stream: string, judge: (log: StreamLog) => Judgement): Promise<Judgement> {
    this.#requireOpen();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ stream, judge, settle: resolve, fail: reject });
      this.#running ??= this.#run();
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      for (const serve of this.#reads.splice(0)) serve();
      // Reads go on in microtasks: they see the state before the next batch touches it.
      await Promise.resolve();
      this.#applyTrims();
      const batch = this.#waiting;
      this.#waiting = [];
      await this.#carryOut(batch);
    }
    this.#applyTrims();
    this.#running = undefined;
    for (const serve of this.#reads.splice(0)) serve();
  }

  async #carryOut(batch: readonly Waiting[]): Promise<void> {
    try {
      if (this.#state === "broken") throw new Error("it failed before");
      const answers = await this.#writeBatch(batch);
      for (const answer of answers) answer();
    } catch (error) {
      if (!isRefusal(error)) this.#break(error);
      const refused = new RpcError(
        this.#state === "broken" ? "UNAVAILABLE" : "STORAGE_REFUSED",
        `the log's disk takes no writes (${error instanceof Error ? error.message : error})`,
        { cause: error },
      );
      for (const waiting of batch) waiting.fail(refused);
    }
  }

  /** Judges, writes and syncs a batch; on failure the state is as before. */
  async #writeBatch(batch: readonly Waiting[]): Promise<(() => void)[]> {
    await this.#segments.prepare(this.#streams.values());
    const answers: (() => void)[] = [];
    const undos: (() => void)[] = [];
    const trimmed = [...this.#unwrittenTrims];
    for (const waiting of batch) this.#judge(waiting, answers, undos);
    for (const log of trimmed) this.#segments.add(standingOf(log));
    if (this.#segments.isBatchEmpty) return answers;
    try {
      await this.#segments.write();
    } catch (error) {
      for (const undo of undos.reverse()) undo();
      throw error;
    }
    for (const log of trimmed) this.#unwrittenTrims.delete(log);
    await this.#segments.sync().catch((error: unknown) => {
      this.#break(error);
      throw error;
    });
    monitor.add(this.#fsyncs, 1);
    await this.#segments.synced();
    return answers;
  }

  #judge(waiting: Waiting, answers: (() => void)[], undos: (() => void)[]): void {
    const log = this.#streamLog(waiting.stream);
    let judgement: Judgement;
    try {
      judgement = waiting.judge(log);
    } catch (error) {
      answers.push(() => waiting.fail(error));
      return;
    }
    if (judgement.verdict === "granted") {
      const { record } = judgement;
      const place = this.#segments.add(record);
      undos.push(this.#apply(log, ownedBytes(record), place, this.#options.nowMs()));
    }
    answers.push(() => waiting.settle(judgement));
  }

  #apply(log: StreamLog, record: LogRecord, place: Held["place"], nowMs: number): () => void {
    const { added, removed, undo } = applyRecord(log, record, { place, nowMs });
    for (const held of removed) this.#forget(held);
    for (const held of added) this.#keep(held);
    return () => {
      for (const held of added) this.#forget(held);
      for (const held of removed) this.#keep(held);
      undo();
    };
  }

  #keep(held: Held): void {
    this.#segments.count(held.place, 1);
    this.#cache.add(held);
  }

  #forget(held: Held): void {
    this.#segments.count(held.place, -1);
    this.#cache.remove(held);
  }

  async #page(log: StreamLog, after: number): Promise<LogReadReply> {
    const chosen: Held[] = [];
    let bytes = 0;
    let more = false;
    for (const held of heldAfter(log, after)) {
      if (bytes >= PAGE_BYTES_MAX || chosen.length >= PAGE_ENTRIES_MAX) {
        more = true;
        break;
      }
      chosen.push(held);
      bytes += held.id.length + held.payloadBytes;
    }
    // Payloads in memory are taken at once: a page is the state of one moment.
    const entries = chosen.map((held) => {
      return held.payload === undefined ? this.#fromDisk(held) : entryOf(held, held.payload);
    });
    return { entries: await Promise.all(entries), more };
  }

  async #fromDisk(held: Held): Promise<LogEntry> {
    const record = await this.#segments.readBack(held.place).catch((error: Error) => {
      if (!isRefusal(error)) return undefined;
      const message = `slot ${held.slot} cannot be read now (${error.message}): ask again`;
      throw new RpcError("STORAGE_REFUSED", message, { cause: error });
    });
    const entry = record?.entries.find((candidate) => candidate.slot === held.slot);
    if (entry !== undefined) return entryOf(held, entry.payload);
    this.#refusal = `this log is damaged and votes no more: slot ${held.slot} cannot be read back`;
    throw new RpcError("STORAGE_REFUSED", this.#refusal);
  }

  #streamLog(stream: string): StreamLog {
    let log = this.#streams.get(stream);
    if (log === undefined) {
      log = newStreamLog(stream, this.#streams.get(UNKNOWN_STREAMS)?.promised);
      this.#streams.set(stream, log);
    }
    return log;
  }

  #requireOpen(): void {
    if (this.#refusal !== undefined) throw new RpcError("STORAGE_REFUSED", this.#refusal);
    if (this.#state !== "open") throw new RpcError("UNAVAILABLE", "this log is closed");
  }

  #break(error: unknown): void {
    if (this.#state === "broken") return;
    this.#state = "broken";
    this.#options.fatal(error);
  }
}

const NO_PLACE = { segment: 0, offset: 0 };

const NO_FENCE: FenceReply = {
  granted: false,
  promised: undefined,
  entries: [],
  trimmedThrough: 0,
  settledThrough: 0,
  more: false,
  previous: undefined,
};

function entryOf(held: Held, payload: Uint8Array): LogEntry {
  return { slot: held.slot, epoch: held.epoch, void: held.isVoid, id: held.id, payload };
}

/** Bytes of a request or a file are views into something larger: what is kept is copied. */
function ownedBytes(record: LogRecord): LogRecord {
  const entries = record.entries.map((entry) => ({
    ...entry,
    id: new Uint8Array(entry.id),
    payload: new Uint8Array(entry.payload),
  }));
  return { ...record, entries };
}
