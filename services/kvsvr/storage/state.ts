/**
 * The replica's state: registers in memory (bounded, least recently used out), the log in front, the
 * state engine behind.
 *
 *   input -> step -> register in memory, rows waiting -> log (durable: may be answered)
 *                                       `-> checkpoint: engine, then the log's old segments go
 *
 * Everything that changes a register passes through `take`. What it returns may leave the process
 * only after `durable(entry)`.
 */
import type { Key } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { encodeLogRecord } from "../../../protos/gen/tricampus/kv/v1/storage_codec.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import { RpcError } from "../../svrkit/errors.ts";
import type { Position } from "../../svrkit/known-disk.ts";
import type { Logger } from "../../svrkit/log.ts";
import { counter } from "../../svrkit/monitors/registry.ts";
import { rest } from "../../svrkit/rest.ts";
import { CHECKPOINT_CHUNK, CHECKPOINT_DIRTY_BYTES } from "../limits.ts";
import type { Queue } from "../proposals.ts";
import { planted } from "../protocol/planted.ts";
import {
  EMPTY_REGISTER,
  type Input,
  type Register,
  type Step,
  step,
  trimsOf,
} from "../protocol/register.ts";
import { Dirty, NO_LIMIT } from "./dirty.ts";
import {
  type EngineEntry,
  type EngineRow,
  RecordDamaged,
  type RowRange,
  type StateEngine,
} from "./engine.ts";
import type { Files } from "./files.ts";
import { Log, type Waiter } from "./log.ts";
import { keyOfRegisterKey, latin1, nameOfKey, registerKey, slotGroup } from "./record.ts";
import { decodeInput, decodeRegister, encodeRegister, logRecord } from "./stored-register.ts";
import { Sweeper } from "./sweeper.ts";
import { TableRows } from "./table-rows.ts";
import { allChanges, isGone, lookAtChanges, lookAtRows } from "./table-scan.ts";

/** Memory of an entry besides its value, estimated. */
const ENTRY_BYTES = 600;
/** What a step that is not logged counts for in the next checkpoint. */
const NOTICE_BYTES = 40;
/** Chunks of different entries that a checkpoint waits for together. */
const CHUNKS_AT_ONCE = 8;
const TURN_MS_MAX = 50;
/** Memory of a row that waits for the next checkpoint besides its bytes, estimated. */
const ROW_BYTES = 400;
/** With the engine failing, dirty state may grow this far before writes are refused. */
const DIRTY_BYTES_MAX = 8 * CHECKPOINT_DIRTY_BYTES;
const DIRTY_BYTES_PRESSED = 2 * CHECKPOINT_DIRTY_BYTES;

/** So long a planted bug leaves its window open. */
const PLANTED_MS = 2_000;

const damagedRecords = counter("kvsvr.damaged_records");
const checkpoints = counter("kvsvr.checkpoints");

export interface Listed {
  readonly entryKey: Buffer;
  readonly register: Register;
}

export interface Entry {
  readonly key: Key;
  readonly name: string;
  readonly registerKey: Buffer;
  register: Register;
  /** Rows newer than the engine's; undefined when there never were any. */
  rows: TableRows | undefined;
  /** Log sequence of the newest record about this key. */
  logged: number;
  /** A notice that moved the register on without a record: what follows it is logged behind it. */
  unlogged: Input | undefined;
  dirty: boolean;
  /** Rows that the table has forgotten may still lie in the engine. */
  unswept: boolean;
  /** Looked at since the last sweep of the cache. */
  used: boolean;
  /** Users that need this very object to stay: proposals, reads, checkpoints. */
  pins: number;
  /** Writes that wait for this key, while there are any: proposals.ts's own. */
  queue: Queue | undefined;
  bytes: number;
}

export interface StateOptions {
  readonly engine: StateEngine;
  readonly files: Files;
  readonly dir: string;
  readonly cacheBytes: number;
  readonly checkpointMs: number;
  readonly log: Logger;
  readonly fatal: (error: Error) => void;
}

export class State {
  readonly #options: StateOptions;
  readonly #entries = new Map<string, Entry>();
  #dirty = new Dirty();
  #dirtyBytes = 0;
  /** What the checkpoint under way has taken out of `#dirty`: newer than the engine's until it ends. */
  #leaving: Dirty | undefined;
  #cachedBytes = 0;
  #log: Log | undefined;
  #timer: NodeJS.Timeout | undefined;
  #checkpoint: Promise<void> | undefined;
  readonly #sweeper: Sweeper;
  #lastCommit: Promise<void> = Promise.resolve();
  #closing = false;

  private constructor(options: StateOptions) {
    this.#options = options;
    const { engine, log } = options;
    this.#sweeper = new Sweeper({
      engine,
      log,
      committed: () => this.#lastCommit,
      commit: (...swept) => this.#commitSwept(...swept),
    });
  }

  /** Opens log and engine and replays; throws LogDamaged when durable records are broken. */
  static async open(options: StateOptions): Promise<State> {
    const state = new State(options);
    state.#log = await Log.open({
      dir: options.dir,
      files: options.files,
      fatal: options.fatal,
      replay: (payload) => state.#replay(payload),
    });
    state.#sweeper.start();
    state.#timer = setInterval(() => state.#checkpointSoon(), options.checkpointMs);
    return state;
  }

  get refusing(): string | undefined {
    if (this.#dirtyBytes > DIRTY_BYTES_MAX)
      return `${Math.round(this.#dirtyBytes / 1_000_000)} MB wait for a checkpoint`;
    return this.#openLog.refusing;
  }

  /** Checkpoints cannot keep up: who only catches up should wait, for clients would be refused next. */
  get isPressed(): boolean {
    return this.#dirtyBytes > DIRTY_BYTES_PRESSED;
  }

  get #openLog(): Log {
    if (this.#log === undefined) throw new Error("the log is not open");
    return this.#log;
  }

  /** The key's entry; throws DATA damage as RecordDamaged: "I do not know", never "absent". */
  entry(key: Key): Entry {
    const name = nameOfKey(key);
    const cached = this.#entries.get(name);
    if (cached !== undefined) {
      cached.used = true;
      return cached;
    }
    return this.#load(name, registerKey(key));
  }

  #load(name: string, own: Buffer): Entry {
    const bytes = this.#guarded(() => this.#options.engine.register(own));
    const stored = bytes === undefined ? FRESH : decodeRegister(bytes);
    const entry: Entry = {
      key: keyOfRegisterKey(own),
      name,
      registerKey: own,
      register: stored.register,
      rows: undefined,
      logged: 0,
      unlogged: undefined,
      dirty: false,
      unswept: stored.unswept,
      used: true,
      pins: 0,
      queue: undefined,
      bytes: ENTRY_BYTES + (bytes?.length ?? 0),
    };
    this.#entries.set(name, entry);
    this.#cachedBytes += entry.bytes;
    if (entry.unswept) this.#sweeper.add(entry);
    if (this.#cachedBytes > this.#options.cacheBytes) this.#evict();
    return entry;
  }

  #guarded<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof RecordDamaged) damagedRecords.value += 1;
      throw error;
    }
  }

  /** Steps the register; the outcome may be spoken of once `durable(entry)` has resolved. */
  take(entry: Entry, input: Input): Step {
    if (this.refusing !== undefined) {
      throw new RpcError(
        "STORAGE_REFUSED",
        `the disk takes no writes (${this.refusing}): free space or make it writable`,
      );
    }
    const taken = step(entry.register, input);
    const log = this.#openLog;
    let bytes = taken.log ? 0 : NOTICE_BYTES;
    if (taken.log) {
      // Replay must come by the same way: an Accept or Prepare of the next version proves this one,
      // anything else would find a register that the notice has not moved.
      const { unlogged } = entry;
      if (unlogged && !provesBase(input, entry.register) && !planted("notice-not-logged"))
        bytes += log.append(encodeLogRecord, logRecord(entry.key, unlogged));
      bytes += log.append(encodeLogRecord, logRecord(entry.key, input));
      entry.logged = log.appended;
      entry.unlogged = undefined;
    } else if (input.kind === "notice" && taken.register !== entry.register) entry.unlogged = input;
    this.#apply(entry, taken, bytes);
    return taken;
  }

  /** Tells the waiter when everything logged up to this sequence number is on the disk. */
  whenDurable(logged: number, waiter: Waiter): void {
    this.#openLog.wait(logged, waiter);
  }

  durable(logged: number): Promise<void> {
    return this.#openLog.durable(logged);
  }

  /** Sequence number of the newest record. */
  get logged(): number {
    return this.#openLog.appended;
  }

  /** How far this disk reaches (S3). */
  get reach(): Position {
    return this.#openLog.reach;
  }

  isDurable(logged: number): boolean {
    return logged <= this.#openLog.durableThrough;
  }

  #apply(entry: Entry, taken: Step, bytes: number): void {
    if (taken.register === entry.register) return;
    if (trimsOf(taken.register) !== trimsOf(entry.register)) {
      entry.unswept = true;
      this.#sweeper.add(entry);
    }
    entry.register = taken.register;
    for (const row of taken.rows) {
      entry.rows ??= new TableRows();
      entry.rows.put(row);
    }
    this.#dirty.add(entry);
    this.#dirtyBytes += bytes + taken.rows.length * ROW_BYTES;
    if (this.#dirtyBytes > CHECKPOINT_DIRTY_BYTES) this.#checkpointSoon();
  }

  #replay(payload: Buffer): void {
    const { key, input } = decodeInput(payload);
    const entry = this.entry(key);
    this.#apply(entry, step(entry.register, input), payload.length);
  }

  #evict(): void {
    for (const [name, entry] of this.#entries) {
      if (this.#cachedBytes <= this.#options.cacheBytes * 0.9) return;
      if (entry.dirty || entry.pins > 0 || entry.rows?.isEmpty === false) continue;
      if (entry.used) {
        entry.used = false;
        this.#entries.delete(name);
        this.#entries.set(name, entry);
        continue;
      }
      this.#entries.delete(name);
      this.#cachedBytes -= entry.bytes;
    }
  }

  row(entry: Entry, inner: Uint8Array): EngineRow | undefined {
    const row = entry.rows?.get(inner) ?? this.#storedRow(entry, inner);
    return row === undefined || row.deleted || isGone(entry, row) ? undefined : row;
  }

  #storedRow(entry: Entry, inner: Uint8Array): EngineRow | undefined {
    if (entry.register.heldVersion === 0) return undefined;
    const stored = this.#guarded(() => this.#options.engine.row(entry.registerKey, inner));
    return stored && { row: inner, ...stored };
  }

  /** Rows above a version in the order of versions, deleted ones included. */
  *changes(entry: Entry, after: number): Iterable<EngineRow> {
    for (const row of allChanges(this.#options.engine, entry, after))
      if (!isGone(entry, row)) yield row;
  }

  lookAtRows(entry: Entry, scan: Parameters<typeof lookAtRows>[2]): RowRange | undefined {
    return lookAtRows(this.#options.engine, entry, scan);
  }

  lookAtChanges(entry: Entry, scan: Parameters<typeof lookAtChanges>[2]): number | undefined {
    return lookAtChanges(this.#options.engine, entry, scan);
  }

  /**
   * About `limit` keys above the cursor, in order, with their registers: from memory where newer.
   * `more`: others follow the last one.
   */
  list(after: Buffer | undefined, limit: number): { listed: Listed[]; more: boolean } {
    const stored = this.#options.engine.keys(after, limit);
    const last = stored.length < limit ? undefined : stored.at(-1)!.registerKey;
    const floor = after === undefined ? "" : latin1(after);
    const firstGroup = after === undefined ? 0 : slotGroup(after);
    // What is only in memory is cut off by slots: a page must not walk through all of it.
    const newer = [this.#leaving, this.#dirty].filter((dirty) => dirty !== undefined);
    const groups = newer.map((dirty) => dirty.through(firstGroup, limit));
    const lastGroup = Math.min(last === undefined ? NO_LIMIT : slotGroup(last), ...groups);
    const ceiling = last !== undefined && slotGroup(last) === lastGroup ? latin1(last) : undefined;
    const found = new Map<string, Register>();
    for (const { registerKey, register } of stored) {
      if (slotGroup(registerKey) <= lastGroup)
        found.set(latin1(registerKey), decodeRegister(register).register);
    }
    for (const entry of newer.flatMap((dirty) => dirty.within(firstGroup, lastGroup))) {
      const at = latin1(entry.registerKey);
      if (at > floor && (ceiling === undefined || at <= ceiling)) found.set(at, entry.register);
    }
    const listed = [...found.keys()].sort().map((at) => {
      return { entryKey: Buffer.from(at, "latin1"), register: found.get(at)! };
    });
    return { listed, more: lastGroup !== NO_LIMIT };
  }

  #checkpointSoon(): void {
    if (this.#checkpoint !== undefined || this.#dirty.size === 0) return;
    this.#checkpoint = this.#writeCheckpoint()
      .catch((error: unknown) =>
        this.#options.log.error({ err: error }, "a checkpoint failed; it is tried again"),
      )
      .finally(() => {
        this.#checkpoint = undefined;
        this.#leaving = undefined;
      });
  }

  async #writeCheckpoint(): Promise<void> {
    const closed = await this.#openLog.rotate();
    if (planted("log-removed-early")) {
      await this.#openLog.removeThrough(closed);
      await rest(PLANTED_MS);
    }
    // By slot: neighbours in the engine share its pages, and each page is rewritten once.
    this.#leaving = this.#dirty;
    const entries = this.#leaving.inOrder();
    this.#dirty = new Dirty();
    this.#dirtyBytes = 0;
    for (let at = 0; at < entries.length; ) {
      const startedMs = monotonicMs();
      const before = at;
      try {
        at = await this.#writeChunks(entries, at);
      } catch (error) {
        for (const entry of entries.slice(before)) this.#keepDirty(entry);
        throw error;
      }
      // Half of the time is left to the log, for somebody waits for every sync of it; less and less of
      // it when the next checkpoint is due before this one is written.
      const share = Math.max(0, 1 - this.#dirtyBytes / CHECKPOINT_DIRTY_BYTES);
      if (!this.#closing && share > 0) await rest((monotonicMs() - startedMs) * share);
    }
    await this.#openLog.removeThrough(closed);
    checkpoints.value += 1;
    if (this.#cachedBytes > this.#options.cacheBytes) this.#evict();
  }

  /**
   * Rows of a large table, as many a commit as stop nobody, and not the last ones; tells the version
   * through which the engine has them.
   */
  async #writeAhead(entry: Entry): Promise<number> {
    if ((entry.rows?.size ?? 0) <= CHECKPOINT_CHUNK) return 0;
    const { registerKey } = entry;
    const { heldVersion } = entry.register;
    let ahead = 0;
    // A replay must make these rows again. Those that come from now on may not be on the disk yet, and
    // that the newest version was decided may be known by a notice alone, which is not logged.
    await this.durable(entry.logged);
    for (;;) {
      const startedMs = monotonicMs();
      const part = entry.rows!.part(ahead, CHECKPOINT_CHUNK);
      if (part.isLast || part.through >= heldVersion) break;
      const rows = part.rows.filter((row) => !isGone(entry, row));
      await this.#commit([{ registerKey, register: undefined, rows, forgotten: [] }]);
      ahead = part.through;
      if (!this.#closing) await rest(monotonicMs() - startedMs);
    }
    return ahead;
  }

  /**
   * Some chunks, put into the engine in short turns and waited for together: to wait for each would
   * cost busy replicas more than the writing. Tells where the next ones begin.
   */
  async #writeChunks(entries: readonly Entry[], first: number): Promise<number> {
    const chunks: { entries: Entry[]; aheads: number[] }[] = [];
    let at = first;
    while (chunks.length < CHUNKS_AT_ONCE && at < entries.length) {
      const chunk = takeChunk(entries, at);
      const aheads: number[] = [];
      for (const entry of chunk) aheads.push(await this.#writeAhead(entry));
      chunks.push({ entries: chunk, aheads });
      at += chunk.length;
    }
    await this.#inTurn(async () => {
      const writing: Promise<unknown>[] = [];
      let startedMs = monotonicMs();
      let othersMs = 0;
      for (const { entries, aheads } of chunks) {
        // Thrown when all have ended: until then others still write.
        writing.push(this.#writeChunk(entries, aheads).then(() => undefined, asError));
        const nowMs = monotonicMs();
        // Everybody else had a turn of so many milliseconds: this may take as long before the next.
        if (nowMs - startedMs < othersMs) continue;
        await new Promise((resolve) => setImmediate(resolve));
        startedMs = monotonicMs();
        othersMs = Math.min(TURN_MS_MAX, startedMs - nowMs);
      }
      for (const failure of await Promise.all(writing)) if (failure !== undefined) throw failure;
    });
    return at;
  }

  /** `aheads`: versions through which the engine has the rows of each already. */
  async #writeChunk(entries: readonly Entry[], aheads: readonly number[]): Promise<void> {
    const through = entries.map((entry) => entry.register.heldVersion);
    const batch = entries.map((entry, i): EngineEntry & { register: Buffer } => {
      entry.dirty = false;
      entry.pins += 1;
      const stored = engineEntry(entry, { unswept: entry.unswept, ahead: aheads[i]! }, []);
      this.#cachedBytes += ENTRY_BYTES + stored.register.length - entry.bytes;
      entry.bytes = ENTRY_BYTES + stored.register.length;
      return stored;
    });
    try {
      await this.#options.engine.commit(batch);
      for (const [i, entry] of entries.entries()) entry.rows?.forgetThrough(through[i]!);
    } finally {
      for (const entry of entries) entry.pins -= 1;
    }
  }

  #commit(batch: readonly EngineEntry[]): Promise<void> {
    return this.#inTurn(() => this.#options.engine.commit(batch));
  }

  /** One after the other: a commit reads what it overwrites, and must not overtake an older one. */
  #inTurn(write: () => Promise<void>): Promise<void> {
    const written = this.#lastCommit.then(write);
    this.#lastCommit = written.catch(() => {});
    return written;
  }

  async #commitSwept(
    entry: Entry,
    forgotten: readonly EngineRow[],
    isLast: boolean,
  ): Promise<void> {
    const ahead = await this.#writeAhead(entry);
    const { register } = entry;
    await this.#commit([engineEntry(entry, { unswept: !isLast, ahead }, forgotten)]);
    entry.rows?.forgetThrough(register.heldVersion);
    if (isLast && trimsOf(entry.register) === trimsOf(register)) entry.unswept = false;
  }

  #keepDirty(entry: Entry): void {
    this.#dirty.add(entry);
    this.#dirtyBytes += entry.bytes;
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#timer);
    await this.#sweeper.stop();
    await this.#checkpoint;
    if (this.#dirty.size > 0) await this.#writeCheckpoint().catch(() => {});
    await this.#openLog.close();
    await this.#options.engine.close();
  }
}

const FRESH = { register: EMPTY_REGISTER, unswept: false };

/** `ahead`: the engine has the rows through this version already. */
function engineEntry(
  entry: Entry,
  { unswept, ahead }: { unswept: boolean; ahead: number },
  forgotten: readonly EngineRow[],
) {
  const { registerKey } = entry;
  const rows = [...(entry.rows?.changes(ahead) ?? [])].filter((row) => !isGone(entry, row));
  return { registerKey, register: encodeRegister(entry.register, unswept), rows, forgotten };
}

const asError = (error: unknown) => error ?? new Error("no reason given");

function provesBase(input: Input, { known }: Register): boolean {
  if (input.kind === "prepare") return input.version === known.version + 1;
  return input.kind === "accept" && input.decision.version === known.version + 1;
}

/** Entries from `at` on, as many as the engine takes in one short turn; at least one. */
function takeChunk(entries: readonly Entry[], at: number): Entry[] {
  let records = 0;
  let end = at;
  while (end < entries.length && records < CHECKPOINT_CHUNK) {
    // The rows of a large table are written before it.
    records += 1 + Math.min(CHECKPOINT_CHUNK, entries[end]!.rows?.size ?? 0);
    end += 1;
  }
  return entries.slice(at, end);
}
