/**
 * Checkpoints: what is newer in memory than in the state engine is written there, in large commits slot
 * by slot, and then the log's old segments go.
 *
 *   register changed -> dirty -> leaving (a checkpoint is being written) -> in the engine
 *
 * Late is cheap, for the engine rewrites whole pages; too late is not, for memory and the time of a
 * restart grow. In between the log has everything. The replicas of a group get the same writes, and would
 * all be slow at the same moment: their first checkpoints differ by a third, and so do those that follow.
 */
import { monotonicMs } from "../../svrkit/call.ts";
import type { Logger } from "../../svrkit/log.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { rest } from "../../svrkit/rest.ts";
import { CHECKPOINT_CHUNK, CHECKPOINT_CHUNK_BYTES } from "../limits.ts";
import { isNowhere } from "../protocol/absent.ts";
import { planted } from "../protocol/planted.ts";
import { trimsOf } from "../protocol/register.ts";
import { Dirty } from "./dirty.ts";
import { type EngineEntry, EngineFailed, type EngineRow, type StateEngine } from "./engine.ts";
import type { Entry } from "./entry.ts";
import type { Log } from "./log.ts";
import { slotGroup } from "./record.ts";
import { KEY_BYTES, type Shelf } from "./shelf.ts";
import { encodeRegister } from "./stored-register.ts";
import { isGone } from "./table-scan.ts";

/** Chunks of different entries that a checkpoint waits for together. */
const CHUNKS_AT_ONCE = 8;
const TURN_MS_MAX = 50;
/** With the engine failing, dirty state may grow to so many checkpoints before writes are refused. */
export const REFUSED_SHARE = 8;
const PRESSED_SHARE = 2;

/** What failed is not tried again at once, whatever becomes dirty. */
const RETRY_MS = 1_000;

/** So long a planted bug leaves its window open. */
const PLANTED_MS = 2_000;

const NO_ROWS: readonly EngineRow[] = [];

const checkpoints = monitorId("kvsvr.checkpoints");

export interface CheckpointParts {
  readonly engine: StateEngine;
  readonly shelf: Shelf;
  /** The replica's log, once it is open. */
  readonly log: () => Log;
  readonly logger: Logger;
  /** Must end the process: a start opens the engine anew. */
  readonly fatal: (error: Error) => void;
  /** Dirty memory at which a checkpoint begins. */
  readonly dirtyBytes: number;
  /** Of memory and time the first checkpoint waits for such a share: the replicas' then take turns. */
  readonly firstShare: number;
}

export class Checkpoints {
  readonly #parts: CheckpointParts;
  #dirty = new Dirty();
  /** Memory that became dirty since the checkpoint under way, or the last one, began. */
  #dirtyBytes = 0;
  /** The same of the checkpoints that failed since one was written: all of it waits still. */
  #failedBytes = 0;
  /** The same of the checkpoint under way. */
  #leavingBytes = 0;
  /** The next checkpoint begins with so much of it. */
  #dueBytes: number;
  /** What the checkpoint under way has taken out of `#dirty`: newer than the engine's until it ends. */
  #leaving: Dirty | undefined;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastCommit: Promise<void> = Promise.resolve();
  #closing = false;
  /** The log has records of earlier runs: they go with the next checkpoint, though nothing may be dirty. */
  #hasOldLog = false;
  /** Tombstones that were forgotten and are still in the engine, by their numbers on the shelf. */
  readonly #forgotten = new Set<number>();
  #failedMs = Number.NEGATIVE_INFINITY;

  constructor(parts: CheckpointParts) {
    this.#parts = parts;
    this.#dueBytes = parts.dirtyBytes * parts.firstShare;
  }

  /**
   * Called when all of the log is taken in: until then there is no checkpoint, for the log's segments go then.
   * `intervalMs`: how late at most; `hasOldLog`: there were records in it.
   */
  start(intervalMs: number, hasOldLog: boolean): void {
    this.#hasOldLog = hasOldLog;
    this.#timer = setTimeout(() => {
      this.#timer = setInterval(() => this.#soon(), intervalMs);
      this.#soon();
    }, intervalMs * this.#parts.firstShare);
    if (this.dirtyBytes > this.#dueBytes) this.#soon();
  }

  /** The entry has changed, by so many bytes. */
  changed(entry: Entry, bytes: number): void {
    this.#dirtyBytes += bytes;
    if (this.#parts.shelf.becomeDirty(entry.id)) {
      this.#dirtyBytes += KEY_BYTES;
      this.#dirty.add(entry.id, slotGroup(entry.registerKey));
    }
    if (this.dirtyBytes > this.#dueBytes) this.#soon();
  }

  /** The entry's tombstone was forgotten: unless it changes again, it leaves the engine. */
  forgotten(entry: Entry): void {
    this.#forgotten.add(entry.id);
    this.changed(entry, 0);
  }

  get isForgottenRemoved(): boolean {
    return this.#forgotten.size === 0;
  }

  /** Memory that became dirty since the checkpoint under way, or the last one that was written, began. */
  get dirtyBytes(): number {
    return this.#dirtyBytes + this.#failedBytes;
  }

  /** Why nothing more may become dirty; undefined when it may. */
  get refusing(): string | undefined {
    // With what is being written: until that has ended, memory and log have it, too.
    const waiting = this.dirtyBytes + this.#leavingBytes;
    if (waiting <= REFUSED_SHARE * this.#parts.dirtyBytes) return undefined;
    return `${Math.round(waiting / 1_000_000)} MB wait for a checkpoint`;
  }

  /** Checkpoints cannot keep up: who only catches up should wait, for clients would be refused next. */
  get isPressed(): boolean {
    return this.dirtyBytes > PRESSED_SHARE * this.#parts.dirtyBytes;
  }

  /** What is newer than the engine's, older first. */
  get newer(): readonly Dirty[] {
    return this.#leaving === undefined ? [this.#dirty] : [this.#leaving, this.#dirty];
  }

  get #isStarted(): boolean {
    return this.#timer !== undefined;
  }

  get #isDue(): boolean {
    return this.#isStarted && (this.#dirty.size > 0 || this.#hasOldLog);
  }

  #soon(): void {
    if (!this.#isDue || this.#running !== undefined) return;
    if (monotonicMs() - this.#failedMs < RETRY_MS) return;
    this.#start();
  }

  /**
   * While the log is taken in: what is newer than the engine's is written, and may leave memory; the log keeps
   * all of it. Resolves when that is over, at once if it cannot be done now.
   */
  async relieve(): Promise<void> {
    const mayStart = this.#running === undefined && monotonicMs() - this.#failedMs >= RETRY_MS;
    if (mayStart && this.#dirty.size > 0) this.#start({ keepsLog: true });
    await this.#running;
  }

  /** One at a time: what one has taken out of `#dirty` must be written before another lets the log go. */
  #start({ keepsLog } = { keepsLog: false }): void {
    this.#running = (keepsLog ? this.#writeDirty({ keepsLog }) : this.#write())
      .catch((error: unknown) => {
        // Of a commit that failed nothing counts, and the log has all of it: the next one writes it again.
        if (error instanceof EngineFailed) this.#parts.fatal(error);
        this.#failedMs = monotonicMs();
        this.#parts.logger.error({ err: error }, "a checkpoint failed; it is tried again");
      })
      .finally(() => {
        this.#running = undefined;
        this.#leaving = undefined;
        this.#leavingBytes = 0;
        // Who waits for room, as catching up does, makes no further change that would begin the next.
        if (this.dirtyBytes > this.#dueBytes) this.#soon();
      });
  }

  /** Resolves when a checkpoint that was begun now, or is under way, has ended. */
  async now(): Promise<void> {
    await this.#running;
    this.#soon();
    await this.#running;
  }

  async #write(): Promise<void> {
    const log = this.#parts.log();
    const closed = await log.rotate();
    if (planted("log-removed-early")) {
      await log.removeThrough(closed);
      await rest(PLANTED_MS);
    }
    this.#dueBytes = this.#parts.dirtyBytes;
    await this.#writeDirty();
    await log.removeThrough(closed);
    this.#hasOldLog = false;
    monitor.add(checkpoints, 1);
  }

  async #writeDirty({ keepsLog } = { keepsLog: false }): Promise<void> {
    // By slot: neighbours in the engine share its pages, and each page is rewritten once.
    this.#leaving = this.#dirty;
    const all = this.#leaving.inOrder();
    this.#leavingBytes = this.#dirtyBytes;
    this.#dirty = new Dirty();
    this.#dirtyBytes = 0;
    // That a tombstone has left the engine counts when no record of it is left to bring it back.
    const ids = keepsLog ? all.filter((id) => !this.#forgotten.has(id)) : all;
    if (ids.length < all.length) this.#keepDirty(all.filter((id) => this.#forgotten.has(id)));
    for (let at = 0; at < ids.length; ) {
      // Who stops waits for no more than what is being written: the log has the rest.
      if (keepsLog && this.#closing) {
        this.#keepDirty(ids.slice(at));
        break;
      }
      const startedMs = monotonicMs();
      const before = at;
      try {
        at = await this.#writeChunks(ids, at);
      } catch (error) {
        this.#keepDirty(ids.slice(before));
        this.#failedBytes += this.#leavingBytes;
        this.#leavingBytes = 0;
        throw error;
      }
      // Half of the time is left to the log, for somebody waits for every sync of it; less and less of
      // it when the next checkpoint is due before this one is written.
      const share = Math.max(0, 1 - this.#dirtyBytes / this.#parts.dirtyBytes);
      if (!this.#closing && share > 0) await rest((monotonicMs() - startedMs) * share);
    }
    this.#failedBytes = 0;
  }

  /**
   * Rows of a large table, as many a commit as stop nobody, and not the last ones; tells the version
   * through which the engine has them.
   */
  async #writeAhead(entry: Entry): Promise<number> {
    if ((entry.rows?.size ?? 0) <= CHECKPOINT_CHUNK) return 0;
    entry.pins += 1;
    try {
      return await this.#writeRowsAhead(entry);
    } finally {
      entry.pins -= 1;
    }
  }

  async #writeRowsAhead(entry: Entry): Promise<number> {
    const { registerKey } = entry;
    const { heldVersion } = entry.register;
    let ahead = 0;
    // A replay must make these rows again. Those that come from now on may not be on the disk yet, and
    // that the newest version was decided may be known by a notice alone, which is not logged.
    await this.#parts.log().durable(entry.logged);
    for (;;) {
      const startedMs = monotonicMs();
      const part = entry.rows!.part(ahead, CHECKPOINT_CHUNK);
      if (part.isLast || part.through >= heldVersion) break;
      const rows = part.rows.filter((row) => !isGone(entry, row));
      await this.commit([{ registerKey, register: undefined, rows, forgotten: [] }]);
      ahead = part.through;
      if (!this.#closing) await rest(monotonicMs() - startedMs);
    }
    return ahead;
  }

  /**
   * Some chunks, put into the engine in short turns and waited for together: to wait for each would
   * cost busy replicas more than the writing. Tells where the next ones begin.
   */
  async #writeChunks(ids: readonly number[], first: number): Promise<number> {
    const { shelf } = this.#parts;
    const chunks: { ids: number[]; aheads: number[] }[] = [];
    let at = first;
    while (chunks.length < CHUNKS_AT_ONCE && at < ids.length) {
      const chunk = this.#takeChunk(ids, at);
      const aheads: number[] = [];
      for (const id of chunk)
        aheads.push(shelf.hasRows(id) ? await this.#writeAhead(shelf.entryOf(id)) : 0);
      chunks.push({ ids: chunk, aheads });
      at += chunk.length;
    }
    await this.#inTurn(async () => {
      const writing: Promise<unknown>[] = [];
      let startedMs = monotonicMs();
      let othersMs = 0;
      for (const chunk of chunks) {
        // Thrown when all have ended: until then others still write.
        writing.push(this.#writeChunk(chunk).then(() => undefined, asError));
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
  async #writeChunk({ ids, aheads }: { ids: number[]; aheads: number[] }): Promise<void> {
    const { shelf, engine } = this.#parts;
    const tables: { entry: Entry; through: number }[] = [];
    const batch = ids.map((id, i): EngineEntry => {
      shelf.becomeLeaving(id);
      if (!shelf.hasRows(id)) return this.#withRows(id, NO_ROWS);
      const entry = shelf.entryOf(id);
      const through = entry.register.heldVersion;
      entry.rows?.leaveThrough(through);
      tables.push({ entry, through });
      entry.pins += 1;
      return this.#withRows(id, rowsToWrite(entry, aheads[i]!));
    });
    try {
      await engine.commit(batch);
    } finally {
      for (const { entry } of tables) entry.pins -= 1;
    }
    for (const { entry, through } of tables) entry.rows?.forgetThrough(through);
    for (const id of ids) {
      if (shelf.isLeaving(id)) this.#forgotten.delete(id);
      shelf.becomeClean(id);
    }
  }

  /** Puts what is newer than the engine's of the slots from `first` to `last` there as it is now. */
  async commitWithin(first: number, last: number): Promise<void> {
    const { shelf, engine } = this.#parts;
    const ids = this.newer.flatMap((dirty) => dirty.within(first, last));
    for (let at = 0; at < ids.length; at += CHECKPOINT_CHUNK) {
      const some = ids.slice(at, at + CHECKPOINT_CHUNK);
      for (const id of some) {
        if (!shelf.isNewer(id) || !shelf.hasRows(id)) continue;
        const entry = shelf.entryOf(id);
        entry.pins += 1;
        await this.commitSwept(entry, NO_ROWS, !entry.unswept).finally(() => {
          entry.pins -= 1;
        });
      }
      await this.#inTurn(() => {
        const plain = some.filter((id) => shelf.isNewer(id) && !shelf.hasRows(id));
        return engine.commit(plain.map((id) => this.#withRows(id, NO_ROWS)));
      });
    }
  }

  /** Keys from `at` on, as many as the engine takes in one short turn and little memory; at least one. */
  #takeChunk(ids: readonly number[], at: number): number[] {
    const { shelf } = this.#parts;
    let records = 0;
    let bytes = 0;
    let end = at;
    while (end < ids.length && records < CHECKPOINT_CHUNK && bytes < CHECKPOINT_CHUNK_BYTES) {
      const id = ids[end]!;
      // The rows of a large table are written before it.
      const rows = shelf.hasRows(id) ? (shelf.entryOf(id).rows?.size ?? 0) : 0;
      records += 1 + Math.min(CHECKPOINT_CHUNK, rows);
      bytes += KEY_BYTES + shelf.bytesOf(id);
      end += 1;
    }
    return ids.slice(at, end);
  }

  #withRows(id: number, rows: readonly EngineRow[]): EngineEntry {
    const { shelf } = this.#parts;
    const { registerKey, encoded } = shelf.stored(id);
    if (this.#forgotten.has(id) && isNowhere(shelf.look(id).register))
      return { registerKey, register: undefined, rows, forgotten: NO_ROWS, removed: true };
    return { registerKey, register: encoded, rows, forgotten: NO_ROWS };
  }

  commit(batch: readonly EngineEntry[]): Promise<void> {
    return this.#inTurn(() => this.#parts.engine.commit(batch));
  }

  /** The same, of what is made when its turn has come and nothing else is being written. */
  commitMade(make: () => readonly EngineEntry[]): Promise<void> {
    return this.#inTurn(async () => {
      const batch = make();
      if (batch.length > 0) await this.#parts.engine.commit(batch);
    });
  }

  /** One after the other: a commit reads what it overwrites, and must not overtake an older one. */
  #inTurn(write: () => Promise<void>): Promise<void> {
    const written = this.#lastCommit.then(write);
    this.#lastCommit = written.catch(() => {});
    return written;
  }

  /** Resolves when commits under way are over. */
  committed(): Promise<void> {
    return this.#lastCommit;
  }

  /** Commits an entry as it stands without these rows. `isLast`: the engine has no others to forget. */
  async commitSwept(entry: Entry, forgotten: readonly EngineRow[], isLast: boolean): Promise<void> {
    const ahead = await this.#writeAhead(entry);
    const { register, registerKey } = entry;
    const rows = rowsToWrite(entry, ahead);
    await this.commit([
      { registerKey, register: encodeRegister(register, !isLast), rows, forgotten },
    ]);
    entry.rows?.forgetThrough(register.heldVersion);
    if (isLast && trimsOf(entry.register) === trimsOf(register)) entry.unswept = false;
  }

  /** The rest of a checkpoint that failed, reached or not, is the next one's: the log must not go before. */
  #keepDirty(ids: readonly number[]): void {
    const { shelf } = this.#parts;
    const changedAgain = new Set(this.#dirty.inOrder());
    for (const id of ids) {
      // What was written before another commit failed may have left memory, and its number is another key's by now.
      if (changedAgain.has(id) || !shelf.isNewer(id)) continue;
      shelf.becomeDirty(id);
      this.#dirty.add(id, slotGroup(shelf.look(id).registerKey));
    }
  }

  /** What is being written rests no more for others. */
  hurry(): void {
    this.#closing = true;
  }

  /** Writes what is dirty, if it may; a log that refuses leaves it to the next start. */
  async close(): Promise<void> {
    this.hurry();
    clearInterval(this.#timer);
    await this.#ended();
    if (this.#isDue) this.#start();
    await this.#ended();
  }

  /** Resolves when none is under way: one that ends may begin the next. */
  async #ended(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }
}

/** Rows newer than the engine's; `ahead`: it has those through this version already. */
function rowsToWrite(entry: Entry, ahead: number): EngineRow[] {
  return [...(entry.rows?.changes(ahead) ?? NO_ROWS)].filter((row) => !isGone(entry, row));
}

const asError = (error: unknown) => error ?? new Error("no reason given");
