/**
 * The production state engine: LMDB, named trees in one file.
 * LMDB alone would write 18 x the payload for random keys; behind the log it is written in large
 * commits of what is newest, and read by everything that is not in memory.
 *
 *   registers, rows   records, by register key and row key
 *   changes           names of rows in the order of versions, without records
 *   names             register keys, without records: what is lost with its name in one tree has it in the other
 */
import { mkdirSync } from "node:fs";
import { type Database, open, type RootDatabase } from "lmdb";
import type { Logger } from "../../svrkit/log.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { CHECKPOINT_CHUNK } from "../limits.ts";
import {
  type ChangeName,
  type EngineEntry,
  EngineFailed,
  type EngineKey,
  type EngineRow,
  RecordDamaged,
  type RowRange,
  type StateEngine,
} from "./engine.ts";
import {
  isKeys,
  KEY_AT,
  openRecord,
  openRow,
  type StoredRow,
  sealRecord,
  sealRow,
  versionBytes,
} from "./record.ts";

/** Of names and records (record.ts, storage.proto). Another one is read by other code. */
const FORMAT = 1;
const FORMAT_NAME = Buffer.from("format");
/** In which incarnation `names` was kept last. */
const NAMES_KEPT_NAME = Buffer.from("names kept");
const PRESENT = Buffer.from([1]);
const NAMES_UNKEPT =
  "names of registers cannot be kept a second time: until a start that can, a register that is lost with " +
  "its name is taken for absent here. Free space or make the disk writable, then start the replica again";
const VERSION_BYTES = 6;
const MDB_PANIC = -30_795;
/** Far longer than a reason is behind its error. */
const REASON_WAIT_MS = 1_000;
/** So many commits that fail and do not say why are taken for a panic: the state must be opened anew. */
const UNEXPLAINED_MAX = 5;
const NO_NAMES: Iterable<Buffer> = [];
/** More are found again by the next listing. */
const UNNAMED_MAX = 10_000;

/** Each time that one is read, or missed. */
const damagedRecords = monitorId("kvsvr.damaged_records");

const namesUnkept = monitorId("kvsvr.names_unkept");

type Tree = Database<Buffer, Buffer>;

/**
 * `incarnation`: of the replica, one more at each start, of whatever version; undefined: nobody starts. `log`
 * hears what cannot be written when it is opened, and is done without.
 */
export function openLmdb(
  path: string,
  incarnation?: number,
  log?: Pick<Logger, "error">,
): StateEngine {
  mkdirSync(path, { recursive: true });
  // overlappingSync: false makes data visible only once it is durable.
  const root = open({
    path: `${path}/state.mdb`,
    maxDbs: 5,
    overlappingSync: false,
    encoding: "binary",
  });
  return new LmdbEngine(root, incarnation, log);
}

class LmdbEngine implements StateEngine {
  readonly #root: RootDatabase;
  readonly #registers: Tree;
  readonly #rows: Tree;
  readonly #changes: Tree;
  /** Undefined: the disk was full when they were to be kept for the first time. */
  readonly #names: Tree | undefined;
  readonly #hasNames: boolean;
  /** Registers of earlier versions, which noted no names: the next commits do. */
  readonly #unnamed: Buffer[] = [];
  readonly #failures = new CommitFailures();
  /** Commits that have not resolved. */
  #underWay = 0;

  constructor(
    root: RootDatabase,
    incarnation: number | undefined,
    log: Pick<Logger, "error"> | undefined,
  ) {
    this.#root = root;
    const tree = (name: string): Tree =>
      root.openDB({ name, encoding: "binary", keyEncoding: "binary" });
    this.#registers = tree("registers");
    this.#rows = tree("rows");
    this.#changes = tree("changes");
    const about = tree("about");
    requireFormat(about);
    try {
      this.#names = tree("names");
      if (incarnation !== undefined) keepNames(about, this.#names, incarnation);
      this.#hasNames = true;
    } catch (error) {
      // A disk without room for a tree that earlier versions had not: a replica has to start there.
      this.#hasNames = false;
      monitor.add(namesUnkept, 1);
      log?.error({ err: error }, NAMES_UNKEPT);
    }
  }

  register(registerKey: Buffer): Buffer | undefined {
    const bytes = this.#registers.getBinary(registerKey);
    if (bytes !== undefined) return opened(openRecord(bytes), registerKey);
    const isLost = this.#hasNames && this.#names!.doesExist(registerKey);
    return isLost ? opened(undefined, registerKey) : undefined;
  }

  row(registerKey: Buffer, row: Uint8Array): StoredRow | undefined {
    const key = Buffer.concat([registerKey, row]);
    const bytes = this.#rows.getBinary(key);
    return bytes === undefined ? undefined : opened(openRow(bytes), registerKey, row);
  }

  *rows(registerKey: Buffer, range: RowRange): Iterable<EngineRow> {
    const low = Buffer.concat([registerKey, range.first]);
    const high =
      range.end === undefined ? after(registerKey) : Buffer.concat([registerKey, range.end]);
    // A reverse range of LMDB begins at its upper end, inclusive; ours excludes it.
    const bounds = range.reverse ? { start: high, reverse: true } : { start: low, end: high };
    for (const { key, value } of this.#rows.getRange(bounds)) {
      if (range.reverse && Buffer.compare(key, high) >= 0) continue;
      if (range.reverse && Buffer.compare(key, low) < 0) return;
      const row = Buffer.from(key.subarray(registerKey.length));
      yield { row, ...opened(openRow(value), registerKey, row) };
    }
  }

  *changes(registerKey: Buffer, afterVersion: number): Iterable<EngineRow> {
    const start = Buffer.concat([registerKey, versionBytes(afterVersion + 1)]);
    for (const key of this.#changes.getKeys({ start, end: after(registerKey) })) {
      const { version, row } = changeOf(key, registerKey);
      const stored = this.row(registerKey, row);
      // Its change is noted in the same commit: what is older, or not there, was lost since.
      if (stored === undefined || stored.version < version) opened(undefined, registerKey, row);
      else if (stored.version === version) yield { row, ...stored };
    }
  }

  changeNames(registerKey: Buffer, from: ChangeName, limit: number): ChangeName[] {
    const start = changeKey(registerKey, from.version, from.row);
    const names = this.#changes.getKeys({ start, end: after(registerKey), limit });
    return [...names].map((name) => changeOf(name, registerKey));
  }

  hasRows(registerKey: Buffer): boolean {
    return [this.#rows, this.#changes].some((tree) => namesIn(tree, registerKey, 1).length > 0);
  }

  tableAfter(registerKey: Buffer | undefined): Buffer | undefined {
    const start = registerKey === undefined ? Buffer.from([0]) : after(registerKey);
    for (const name of this.#rows.getKeys({ start, limit: 1 }))
      return Buffer.from(name.subarray(0, KEY_AT + name[KEY_AT - 1]!));
    return undefined;
  }

  keys(afterKey: Buffer | undefined, limit: number): EngineKey[] {
    const start =
      afterKey === undefined ? Buffer.from([0]) : Buffer.concat([afterKey, Buffer.from([0])]);
    const found: EngineKey[] = [];
    for (const { key, value } of this.#registers.getRange({ start, limit })) {
      const register = openRecord(value);
      if (register === undefined) monitor.add(damagedRecords, 1);
      found.push({ registerKey: Buffer.from(key), register: register && Buffer.from(register) });
    }
    const all = this.#hasNames ? this.#names!.getKeys({ start }) : NO_NAMES;
    const names = all[Symbol.iterator]();
    try {
      return this.#withLost(found, names, limit);
    } finally {
      names.return?.();
    }
  }

  /** Of both in their order the first ones: of a name that has no register the register was lost. */
  #withLost(found: readonly EngineKey[], names: Iterator<Buffer>, limit: number): EngineKey[] {
    const all: EngineKey[] = [];
    let name = nextOf(names);
    for (let at = 0; all.length < limit && (at < found.length || name !== undefined); ) {
      const there = found[at];
      const order = orderOf(there?.registerKey, name);
      if (order <= 0) {
        all.push(there!);
        at += 1;
        if (order < 0 && this.#hasNames) this.#nameSoon(there!.registerKey);
      } else if (isKeys(name!)) {
        monitor.add(damagedRecords, 1);
        all.push({ registerKey: name!, register: undefined });
      }
      if (order >= 0) name = nextOf(names);
    }
    return all;
  }

  #nameSoon(own: Buffer): void {
    if (this.#unnamed.length < UNNAMED_MAX && isKeys(own)) this.#unnamed.push(own);
  }

  async commit(entries: readonly EngineEntry[]): Promise<void> {
    // Another one under way may remove what a look finds there still.
    const unnamed = this.#underWay === 0 ? this.#unnamed.splice(0, CHECKPOINT_CHUNK) : [];
    this.#underWay += 1;
    await this.#write(entries, unnamed).finally(() => {
      this.#underWay -= 1;
    });
  }

  async #write(entries: readonly EngineEntry[], unnamed: readonly Buffer[]): Promise<void> {
    const written = this.#root.batch(() => {
      for (const own of unnamed) if (this.#registers.doesExist(own)) this.#names?.put(own, PRESENT);
      for (const entry of entries) this.#put(entry);
    });
    await written.catch((error: Error) => this.#failures.tell(error));
    this.#failures.succeeded();
    // LMDB's reader keeps its snapshot for a turn. Who waits for the commit forgets its own copy now,
    // so the next read must not be answered from before it, whenever the reader would renew itself.
    this.#root.resetReadTxn();
  }

  #put(entry: EngineEntry): void {
    if (entry.emptied !== undefined) {
      for (const tree of [this.#rows, this.#changes])
        for (const name of namesIn(tree, entry.registerKey, entry.emptied)) tree.remove(name);
    }
    for (const { row, versions } of entry.lost ?? []) {
      this.#rows.remove(Buffer.concat([entry.registerKey, row]));
      for (const version of versions)
        this.#changes.remove(changeKey(entry.registerKey, version, row));
    }
    for (const { row, version } of entry.forgotten) {
      const key = Buffer.concat([entry.registerKey, row]);
      const there = this.#rows.getBinary(key);
      if (there !== undefined && openRow(there)?.version === version) this.#rows.remove(key);
      this.#changes.remove(changeKey(entry.registerKey, version, row));
    }
    for (const row of entry.rows) {
      const key = Buffer.concat([entry.registerKey, row.row]);
      const before = this.#rows.getBinary(key);
      const old = before === undefined ? undefined : openRow(before);
      if (old !== undefined && old.version !== row.version) {
        this.#changes.remove(changeKey(entry.registerKey, old.version, row.row));
      }
      this.#rows.put(key, sealRow(row));
      this.#changes.put(changeKey(entry.registerKey, row.version, row.row), PRESENT);
    }
    const { registerKey, register } = entry;
    const names = this.#names;
    if (entry.removed === true)
      for (const tree of [this.#registers, names]) tree?.remove(registerKey);
    if (register === undefined) return;
    this.#registers.put(registerKey, sealRecord(register));
    if (names?.doesExist(registerKey) === false) names.put(registerKey, PRESENT);
  }

  async close(): Promise<void> {
    await this.#root.flushed;
    await this.#root.close();
  }
}

/** What is told of commits that failed. */
export class CommitFailures {
  #unexplained = 0;

  succeeded(): void {
    this.#unexplained = 0;
  }

  /**
   * Rejects with the reason. A failed commit's own error says no more than that there is one, whose rejection
   * nobody else hears, and which the binding may never settle: who waited for ever would hold all later checkpoints
   * up, and say nothing. After a panic every commit fails, whether it says so or not.
   */
  async tell(
    error: Error & { commitError?: Promise<never> },
    waitMs = REASON_WAIT_MS,
  ): Promise<never> {
    const { commitError } = error;
    if (commitError === undefined) throw error;
    let timer: NodeJS.Timeout | undefined;
    const waited = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, waitMs);
    });
    const explained = commitError.catch((reason: Error) => {
      this.#unexplained = 0;
      return asFailed(reason);
    });
    try {
      await Promise.race([explained, waited]);
    } finally {
      clearTimeout(timer);
    }
    this.#unexplained += 1;
    if (this.#unexplained < UNEXPLAINED_MAX) throw error;
    const why = `${this.#unexplained} commits failed one after the other, and LMDB does not say why`;
    throw new EngineFailed(why, { cause: error });
  }
}

/**
 * A commit that failed before its last page, the one that makes it count, is as if it had never been, on
 * a full disk (LMDB says EIO of what was written in part) or a broken one. After that LMDB is of no use.
 */
function asFailed(error: Error & { code?: unknown }): never {
  throw error.code === MDB_PANIC ? new EngineFailed(error.message, { cause: error }) : error;
}

function changeKey(registerKey: Buffer, version: number, row: Uint8Array): Buffer {
  return Buffer.concat([registerKey, versionBytes(version), row]);
}

function changeOf(name: Buffer, registerKey: Buffer): ChangeName {
  const at = registerKey.length;
  const row = Buffer.from(name.subarray(at + VERSION_BYTES));
  return { version: name.readUIntBE(at, VERSION_BYTES), row };
}

function nextOf(names: Iterator<Buffer>): Buffer | undefined {
  const { done, value } = names.next();
  return done === true ? undefined : Buffer.from(value);
}

/** Which comes first; one of them is there. */
function orderOf(own: Buffer | undefined, name: Buffer | undefined): number {
  if (own === undefined) return 1;
  return name === undefined ? -1 : Buffer.compare(own, name);
}

/** Throws when a later version has written here. What was written before there was a note is of the first format. */
function requireFormat(about: Tree): void {
  const noted = about.getBinary(FORMAT_NAME);
  if (noted === undefined) note(about);
  else if (noted[0] !== FORMAT)
    throw new Error(
      `the store's state has format ${noted[0]}; this version reads ${FORMAT}: run a newer one`,
    );
}

/**
 * Names of what another version has removed would stay, and it would be taken for lost, at all three replicas at
 * once: after a start that kept none, all are noted anew.
 */
function keepNames(about: Tree, names: Tree, incarnation: number): void {
  const kept = about.getBinary(NAMES_KEPT_NAME)?.readUIntBE(0, VERSION_BYTES);
  if (kept !== incarnation - 1) names.clearSync();
  about.putSync(NAMES_KEPT_NAME, versionBytes(incarnation));
}

/** Names of a table's rows, or of its changes: some of them, without a look at the records. */
function namesIn(tree: Tree, registerKey: Buffer, limit: number): Buffer[] {
  const range = { start: registerKey, end: after(registerKey), limit };
  return [...tree.getKeys(range)].map((name) => Buffer.from(name));
}

/** The first key after every key that begins with this one: class and version bytes are below 0xff. */
function after(registerKey: Buffer): Buffer {
  return Buffer.concat([registerKey, Buffer.from([0xff])]);
}

/** `row`: it is a record of that row. */
function opened<T>(record: T | undefined, registerKey: Buffer, row?: Uint8Array): T {
  if (record !== undefined) return record;
  monitor.add(damagedRecords, 1);
  throw new RecordDamaged(registerKey, row);
}

/** On a full disk there is no note, which says the same: a replica has to start there. */
function note(about: Tree): void {
  try {
    about.putSync(FORMAT_NAME, Buffer.from([FORMAT]));
  } catch {
    // the next start tries again
  }
}
