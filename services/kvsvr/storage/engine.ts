/**
 * The state engine: where registers and rows rest once they leave the log. Narrow on purpose: two
 * engines (LMDB, memory) pass one suite (engine.suite.ts). Reads are synchronous, commits durable.
 */
import { RpcError } from "../../svrkit/errors.ts";
import type { StoredRow } from "./record.ts";

export interface EngineRow extends StoredRow {
  /** Inner row key. */
  readonly row: Uint8Array;
}

/** What one entry adds in a commit: its register and the rows that changed, all or nothing. */
export interface EngineEntry {
  readonly registerKey: Buffer;
  /**
   * Encoded StoredRegister; undefined: rows of a large table ahead of their register. Until that comes
   * the log still has what made them, and a replay makes them again.
   */
  readonly register: Uint8Array | undefined;
  readonly rows: readonly EngineRow[];
  /** Rows to be removed, unless a newer version of them is there. */
  readonly forgotten: readonly EngineRow[];
  /** The register is removed: its slot was moved to another group. */
  readonly removed?: boolean;
  /** So many of the table's rows go, by their names: also those that are damaged, whatever was in them. */
  readonly emptied?: number;
  /** Rows that go by their names, whatever is in their records; `rows` may bring them back. */
  readonly lost?: readonly LostRow[];
}

/** A row, by its name and the names of its changes. */
export interface LostRow {
  readonly row: Uint8Array;
  readonly versions: readonly number[];
}

/** Of a change of a row: what the order of changes is kept by, apart from the record. */
export interface ChangeName {
  readonly version: number;
  /** Inner row key. */
  readonly row: Uint8Array;
}

/**
 * A record whose checksum does not match, or that is missing: "I do not know", never "absent"
 * (damaged-keys.ts, damaged-rows.ts).
 */
export class RecordDamaged extends RpcError {
  /** Of the key that the record belongs to. */
  readonly registerKey: Buffer;
  /** Inner key of the row; undefined: it is the register. */
  readonly row: Buffer | undefined;

  constructor(registerKey: Buffer, row?: Uint8Array) {
    const name = registerKey.toString("hex");
    const kind = row === undefined ? "register" : "row";
    super("UNAVAILABLE", `a ${kind} is damaged here (key ${name}): ask another replica`);
    this.registerKey = registerKey;
    this.row = row && Buffer.from(row);
  }
}

/** The engine takes no commits any more until it is opened anew. */
export class EngineFailed extends Error {}

/** What is read; undefined when a record of it is damaged. */
export function unlessDamaged<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof RecordDamaged) return undefined;
    throw error;
  }
}

export interface EngineKey {
  readonly registerKey: Buffer;
  /** Encoded StoredRegister; undefined: it is damaged. */
  readonly register: Buffer | undefined;
}

export interface RowRange {
  /** Inner row keys: first <= key < end; end undefined: to the table's end. */
  readonly first: Uint8Array;
  readonly end: Uint8Array | undefined;
  readonly reverse: boolean;
}

export interface StateEngine {
  /** Encoded StoredRegister, or undefined; throws RecordDamaged. */
  register(registerKey: Buffer): Buffer | undefined;
  /** A row, deleted ones included; throws RecordDamaged. */
  row(registerKey: Buffer, row: Uint8Array): StoredRow | undefined;
  /** Rows of a table in key order, deleted ones included; throws RecordDamaged. */
  rows(registerKey: Buffer, range: RowRange): Iterable<EngineRow>;
  /** Rows with version > after, in the order of versions, deleted ones included; throws RecordDamaged. */
  changes(registerKey: Buffer, after: number): Iterable<EngineRow>;
  /** Names of a table's changes in the order of versions, from this one on; no record is looked at. */
  changeNames(registerKey: Buffer, from: ChangeName, limit: number): ChangeName[];
  /** There is something of the table's rows, damaged or not. */
  hasRows(registerKey: Buffer): boolean;
  /** The next table that has rows, whatever registers there are: in order, from the first on. */
  tableAfter(registerKey: Buffer | undefined): Buffer | undefined;
  /** Register keys above the cursor, in order. */
  keys(after: Buffer | undefined, limit: number): EngineKey[];
  /**
   * Durable when it resolves; each entry whole or not at all. The entries' bytes are copied before it
   * returns: they may be others in the next turn.
   */
  commit(entries: readonly EngineEntry[]): Promise<void>;
  close(): Promise<void>;
}
