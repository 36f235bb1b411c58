/**
 * The replica's state: registers in memory (bounded, least recently used out), the log in front, the
 * state engine behind.
 *
 *   input -> step -> register in memory, rows waiting -> log (durable: may be answered)
 *                                       `-> checkpoint: engine, then the log's old segments go
 *
 * Everything that changes a register passes through `take`. What it returns may leave the process
 * only after `durable(entry)`. Registers of earlier runs come by the same step from the log, when they
 * are asked for (replay.ts).
 */
import type { Key } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { encodeLogRecord } from "../../../protos/gen/tricampus/kv/v1/storage_codec.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import { RpcError } from "../../svrkit/errors.ts";
import type { Position } from "../../svrkit/known-disk.ts";
import type { Logger } from "../../svrkit/log.ts";
import { absentAt, behindFloor, type Floor, NO_FLOOR } from "../protocol/absent.ts";
import { planted } from "../protocol/planted.ts";
import {
  EMPTY_REGISTER,
  type Input,
  type Register,
  type Step,
  step,
  trimsOf,
} from "../protocol/register.ts";
import { Checkpoints, REFUSED_SHARE } from "./checkpoints.ts";
import { DamagedKeys } from "./damaged-keys.ts";
import { DamagedRows } from "./damaged-rows.ts";
import { NO_LIMIT } from "./dirty.ts";
import {
  type EngineEntry,
  type EngineRow,
  RecordDamaged,
  type RowRange,
  type StateEngine,
  unlessDamaged,
} from "./engine.ts";
import { Entry } from "./entry.ts";
import type { Files } from "./files.ts";
import { Listing, type Page } from "./listing.ts";
import { Log, type Waiter } from "./log.ts";
import { keyOf, registerKey } from "./record.ts";
import { Replay } from "./replay.ts";
import { Scrub } from "./scrub.ts";
import { NOT_KEPT, Shelf, type Stored } from "./shelf.ts";
import { groupsOf, isWithin, removeSlice, type Slice } from "./slot-removal.ts";
import { decodeInput, logRecord, viewRegister, withoutUnswept } from "./stored-register.ts";
import { Sweeper } from "./sweeper.ts";
import { allChanges, isGone, lookAtChanges, lookAtRows } from "./table-scan.ts";

/** What a step that is not logged counts for in the next checkpoint. */
const NOTICE_BYTES = 40;
/** Memory of a row that waits for the next checkpoint besides its bytes, estimated. */
const ROW_BYTES = 400;
/** Well below where the log's words for positions end. */
const SEGMENT_BYTES_MAX = 2 ** 31;
/** The second one begins for sure after the slots were closed. */
const CHECKPOINTS_BEFORE_REMOVAL = 2;

export interface StateOptions {
  readonly engine: StateEngine;
  readonly files: Files;
  readonly dir: string;
  readonly cacheBytes: number;
  readonly checkpointBytes: number;
  readonly checkpointMs: number;
  /** How often the engine is looked through for damage; 0, the default: never. */
  readonly scrubEveryMs?: number;
  /** See CheckpointParts; default: 1. */
  readonly firstShare?: number;
  readonly log: Logger;
  readonly fatal: (error: Error) => void;
  /** Of the key's slot, by its register key. */
  readonly floorOf?: (registerKey: Buffer) => Floor;
  /** The key's slot was not moved away; default: none was. */
  readonly isHeld?: (registerKey: Buffer) => boolean;
}

/** Tombstones to be removed, and the floor that is in force instead. */
export interface Forgotten {
  /** With their versions: a key that has gone on since stays. */
  readonly keys: readonly { readonly key: Key; readonly version: number }[];
  readonly floor: Floor;
}

export class State {
  readonly #options: StateOptions;
  readonly #shelf: Shelf;
  readonly #checkpoints: Checkpoints;
  #log: Log | undefined;
  readonly #replay: Replay;
  /** Resolves when nothing is left of it, or it was stopped. */
  #replayed: Promise<boolean> = Promise.resolve(true);
  readonly #listing: Listing;
  readonly #sweeper: Sweeper;
  readonly #scrub: Scrub;
  readonly damaged = new DamagedKeys();
  readonly damagedRows: DamagedRows;
  readonly #floorOf: (registerKey: Buffer) => Floor;
  readonly #isHeld: (registerKey: Buffer) => boolean;

  private constructor(options: StateOptions) {
    this.#options = options;
    this.#floorOf = options.floorOf ?? (() => NO_FLOOR);
    this.#isHeld = options.isHeld ?? (() => true);
    const { engine, log, fatal } = options;
    const shelf = new Shelf(options.cacheBytes);
    const checkpoints = new Checkpoints({
      engine,
      shelf,
      log: () => this.#openLog,
      logger: log,
      fatal,
      dirtyBytes: options.checkpointBytes,
      firstShare: options.firstShare ?? 1,
    });
    this.#shelf = shelf;
    this.#checkpoints = checkpoints;
    this.#replay = new Replay({
      take: (payload) => this.#takeLogged(payload),
      // No checkpoint makes room before all is taken in.
      isPressed: () => checkpoints.dirtyBytes > options.checkpointBytes,
      relieve: () => checkpoints.relieve(),
      fatal,
    });
    this.#listing = new Listing({
      engine,
      shelf,
      replay: this.#replay,
      newer: () => checkpoints.newer,
      readable: (key) => this.readable(key),
      changed: (entry) => checkpoints.changed(entry, 0),
      floorOf: this.#floorOf,
    });
    this.damagedRows = new DamagedRows({
      engine,
      isHeld: this.#isHeld,
      commit: (make) => checkpoints.commitMade(make),
    });
    this.#sweeper = new Sweeper({
      engine,
      damaged: this.damagedRows,
      log,
      committed: () => checkpoints.committed(),
      commit: (...swept) => checkpoints.commitSwept(...swept),
    });
    this.#scrub = new Scrub({
      engine,
      damagedRows: this.damagedRows,
      list: (after, limit) => this.list(after, limit),
      hasRows: (own) => this.#requireTable(own),
      log,
    });
  }

  /**
   * Opens log and engine, and may be used at once; throws LogDamaged when durable records are broken.
   * `forgotten`: what a removal that was cut short may have left.
   */
  static async open(options: StateOptions, forgotten?: Forgotten): Promise<State> {
    const state = new State(options);
    if (forgotten !== undefined) state.forget(forgotten);
    state.#log = await Log.open({
      dir: options.dir,
      files: options.files,
      fatal: options.fatal,
      replay: (group, start, end) => state.#replay.add(group, start, end),
    });
    state.#sweeper.start();
    state.#replayed = state.#replayAll();
    return state;
  }

  async #replayAll(): Promise<boolean> {
    const hasOldLog = this.#replay.left > 0;
    // What it throws was told as fatal.
    const isDone = await this.#replay.toTheEnd().catch(() => false);
    if (!isDone) return false;
    try {
      await this.#openLog.forgetEarlier();
    } catch (error) {
      this.#options.fatal(error instanceof Error ? error : new Error(String(error)));
      return false;
    }
    const { checkpointMs, scrubEveryMs = 0, firstShare = 1 } = this.#options;
    this.#checkpoints.start(checkpointMs, hasOldLog);
    if (scrubEveryMs > 0) this.#scrub.start(scrubEveryMs, scrubEveryMs * firstShare);
    return true;
  }

  /** Log records of earlier runs that nobody has asked for yet. */
  get unreplayed(): number {
    return this.#replay.left;
  }

  get refusing(): string | undefined {
    return this.#checkpoints.refusing ?? this.#openLog.refusing ?? this.#longLog;
  }

  /** No new segment begins before all of the log is taken in: until then the last one would grow without end. */
  get #longLog(): string | undefined {
    if (this.#replay.left === 0) return undefined;
    const { bytes } = this.reach;
    const most = REFUSED_SHARE * this.#options.checkpointBytes;
    if (bytes <= Math.min(most, SEGMENT_BYTES_MAX)) return undefined;
    return `${Math.round(bytes / 1_000_000)} MB of the log wait until all of it is taken in`;
  }

  /** Checkpoints cannot keep up: who only catches up should wait, for clients would be refused next. */
  get isPressed(): boolean {
    return this.#checkpoints.isPressed;
  }

  /** Memory of entries that could leave it, and of what waits for a checkpoint. */
  get memory(): { cleanBytes: number; dirtyBytes: number } {
    return { cleanBytes: this.#shelf.cleanBytes, dirtyBytes: this.#checkpoints.dirtyBytes };
  }

  get #openLog(): Log {
    if (this.#log === undefined) throw new Error("the log is not open");
    return this.#log;
  }

  /** The key's entry; throws RecordDamaged for a damaged one: "I do not know", never "absent". */
  entry(key: Key): Entry {
    this.#replay.ofKey(key);
    const there = this.#shelf.get(key);
    if (there !== undefined) return this.#raised(there);
    const entry = this.#shelf.add(key, this.#read(registerKey(key)));
    if (entry.unswept) this.#sweeper.add(entry);
    return this.#raised(entry);
  }

  /** The key's entry; undefined: it is damaged. */
  readable(key: Key): Entry | undefined {
    return unlessDamaged(() => this.entry(key));
  }

  /** Behind its slot's floor, if there is nothing of it (S5). */
  #raised(entry: Entry): Entry {
    if (entry.register.held.model === "none")
      entry.register = behindFloor(entry.register, this.#floorOf(entry.registerKey).version);
    return entry;
  }

  /**
   * The key's entry to be looked at within this turn, and no longer: one that is not in memory, or packed,
   * is read and not kept, so that who goes through everything drives out nothing that others use.
   */
  peek(key: Key): Entry {
    this.#replay.ofKey(key);
    const there = this.#shelf.peek(key);
    if (there !== undefined) return this.#raised(there);
    const own = registerKey(key);
    return this.#raised(new Entry(NOT_KEPT, own, this.#read(own).register));
  }

  #read(own: Buffer): Stored {
    // Of one that is lost with its name the engine says that there is none.
    if (this.damaged.has(own)) throw new RecordDamaged(own);
    const encoded = this.damaged.guard(() => this.#options.engine.register(own));
    if (encoded === undefined) return NOTHING;
    const { register, unswept } = viewRegister(encoded);
    return { register, unswept, encoded: unswept ? withoutUnswept(encoded) : encoded };
  }

  /** Steps the register; the outcome may be spoken of once `durable(entry)` has resolved. */
  take(entry: Entry, input: Input): Step {
    this.#requireDisk();
    const taken = step(this.#raised(entry).register, input);
    const log = this.#openLog;
    let bytes = taken.log ? 0 : NOTICE_BYTES;
    if (taken.log) {
      // Replay must come by the same way: an Accept or Prepare of the next version proves this one,
      // anything else would find a register that the notice has not moved.
      const isUnlogged = entry.unloggedVersion > 0 && !provesBase(input, entry.register);
      if (isUnlogged && !planted("notice-not-logged")) bytes += this.#logNotice(entry);
      bytes += log.append(encodeLogRecord, logRecord(entry.key, input));
      entry.logged = log.appended;
      entry.unloggedVersion = 0;
    } else if (input.kind === "notice" && taken.register !== entry.register) {
      entry.unloggedVersion = input.version;
      entry.unloggedDigest = input.digest;
    }
    this.#apply(entry, taken, bytes);
    return taken;
  }

  #requireDisk(): void {
    const { refusing } = this;
    if (refusing === undefined) return;
    throw new RpcError(
      "STORAGE_REFUSED",
      `the disk takes no writes (${refusing}): free space or make it writable`,
    );
  }

  #logNotice({ key, unloggedVersion: version, unloggedDigest: digest }: Entry): number {
    return this.#openLog.append(
      encodeLogRecord,
      logRecord(key, { kind: "notice", version, digest }),
    );
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
    let more = 0;
    for (const row of taken.rows) if (this.#shelf.rowsOf(entry).put(row)) more += 1;
    this.#checkpoints.changed(entry, bytes + more * ROW_BYTES);
  }

  #takeLogged(payload: Buffer): void {
    const { key, input } = decodeInput(payload);
    const entry = this.readable(key);
    // What it was about is not known: the key is copied from both others, who have what was voted with them.
    if (entry === undefined) return;
    this.#apply(entry, step(entry.register, input), payload.length);
  }

  row(entry: Entry, inner: Uint8Array): EngineRow | undefined {
    const row = entry.rows?.get(inner) ?? this.#storedRow(entry, inner);
    return row === undefined || row.deleted || isGone(entry, row) ? undefined : row;
  }

  #storedRow(entry: Entry, inner: Uint8Array): EngineRow | undefined {
    if (entry.register.heldVersion === 0) return undefined;
    const { engine } = this.#options;
    const stored = this.damagedRows.guard(() => engine.row(entry.registerKey, inner));
    return stored && { row: inner, ...stored };
  }

  /** Rows above a version in the order of versions, deleted ones included. */
  *changes(entry: Entry, after: number): Iterable<EngineRow> {
    try {
      for (const row of allChanges(this.#options.engine, entry, after))
        if (!isGone(entry, row)) yield row;
    } catch (error) {
      this.damagedRows.note(error);
      throw error;
    }
  }

  lookAtRows(entry: Entry, scan: Parameters<typeof lookAtRows>[2]): RowRange | undefined {
    return this.damagedRows.guard(() => lookAtRows(this.#options.engine, entry, scan));
  }

  lookAtChanges(entry: Entry, scan: Parameters<typeof lookAtChanges>[2]): number | undefined {
    return this.damagedRows.guard(() => lookAtChanges(this.#options.engine, entry, scan));
  }

  /** See Listing. */
  list(after: Buffer | undefined, limit: number): Page {
    return this.#listing.page(after, limit);
  }

  /** Keys of these slots of which there is something; version 0: it is damaged. */
  namesWithin(slice: Slice): { key: Key; name: string; version: number }[] {
    return this.#listing.namesWithin(slice);
  }

  /**
   * From now on the engine has every register of these slots, older or newer: none is in the log alone.
   * Then a floor of theirs can come into force: a replay takes what is not in the engine for absent.
   */
  async commitSlots(slices: readonly Slice[]): Promise<void> {
    for (const slice of slices) await this.#commitWithin(...groupsOf(slice));
  }

  /** The same of all slots. */
  commitAll(): Promise<void> {
    return this.#commitWithin(0, NO_LIMIT);
  }

  async #commitWithin(first: number, last: number): Promise<void> {
    if (!(await this.#replay.within(first, last))) throw stopping();
    await this.durable(this.logged);
    await this.#checkpoints.commitWithin(first, last);
  }

  /** Takes tombstones for absent, in this turn; the next checkpoint removes them. The floor is in force. */
  forget({ keys, floor }: Forgotten): void {
    for (const { key, version } of keys) {
      const entry = this.readable(key);
      if (entry === undefined || entry.register.known.version > version) continue;
      entry.register = absentAt(floor.version);
      entry.unloggedVersion = 0;
      this.#checkpoints.forgotten(entry);
    }
  }

  /** Resolves when a checkpoint that began from now on has ended. */
  async checkpoint(): Promise<void> {
    if (!(await this.#replayed)) throw stopping();
    for (let round = 0; round < CHECKPOINTS_BEFORE_REMOVAL; round++) await this.#checkpoints.now();
  }

  /** What was forgotten has left the engine. */
  get isForgottenRemoved(): boolean {
    return this.#checkpoints.isForgottenRemoved;
  }

  /**
   * Removes what there is of slots that nothing steps any more. A checkpoint goes before it: no record
   * about them may be left in the log, for a replay would bring a part of them back.
   */
  async removeSlice(slice: Slice): Promise<void> {
    const isInside = (registerKey: Buffer) => isWithin(registerKey, slice);
    await this.checkpoint();
    this.#sweeper.drop(({ registerKey }) => isInside(registerKey));
    if (!this.#shelf.drop(isInside))
      throw new RpcError("UNAVAILABLE", "a key of slots to be removed is still in use");
    const commit = (entries: readonly EngineEntry[]) => this.#checkpoints.commit(entries);
    await removeSlice(this.#options.engine, slice, commit);
    this.damaged.drop(isInside);
    this.damagedRows.drop(isInside);
  }

  /**
   * Puts what was copied of a damaged key in its place: these inputs, from nothing on. Durable when it
   * resolves.
   */
  renew(key: Key, inputs: readonly Input[]): Promise<void> {
    this.#requireDisk();
    this.#replay.ofKey(key);
    if (!this.damaged.has(registerKey(key))) return Promise.resolve();
    const entry = this.#shelf.add(key, NOTHING);
    this.damaged.renew(entry.registerKey);
    // Its rows in the engine are older than those copied, or as old; the register is overwritten in any case.
    this.#checkpoints.changed(entry, 0);
    const log = this.#openLog;
    for (const input of inputs) {
      const bytes = log.append(encodeLogRecord, logRecord(key, input));
      this.#apply(entry, step(entry.register, input), bytes);
    }
    entry.logged = log.appended;
    return this.durable(entry.logged);
  }

  /**
   * The engine has rows of a table: without its register that was lost with its name, and is damaged. Not
   * while somebody works on it: the next look finds it.
   */
  #requireTable(own: Buffer): void {
    if (!this.#isHeld(own)) return;
    const { engine } = this.#options;
    const there = unlessDamaged(() => this.peek(keyOf(own)))?.register;
    if (there === undefined) return;
    if (there.held.model === "table") {
      // What memory has is as good.
      const isStored = unlessDamaged(() => engine.register(own)) !== undefined;
      if (!isStored) this.#checkpoints.changed(this.entry(keyOf(own)), 0);
    } else if (this.#shelf.drop((other) => other.equals(own))) this.damaged.note(own);
  }

  /** Rows that a table has forgotten leave the engine, if any may be left. */
  sweepSoon(entry: Entry): void {
    if (entry.unswept) this.#sweeper.add(entry);
  }

  /** What waits for all of the log to be taken in waits no longer, and fails. */
  stopIntake(): void {
    this.#replay.stop();
    this.#checkpoints.hurry();
  }

  async close(): Promise<void> {
    this.stopIntake();
    await this.#replayed;
    await this.#scrub.stop();
    await this.#sweeper.stop();
    await this.#checkpoints.close();
    this.#replay.close(stopping());
    await this.#openLog.close();
    await this.#options.engine.close();
  }
}

const NOTHING = { register: EMPTY_REGISTER, unswept: false, encoded: NO_BYTES };

function stopping(): RpcError {
  return new RpcError("UNAVAILABLE", "the replica stops before it has taken in its whole log");
}

function provesBase(input: Input, { known }: Register): boolean {
  if (input.kind === "prepare") return input.version === known.version + 1;
  return input.kind === "accept" && input.decision.version === known.version + 1;
}
