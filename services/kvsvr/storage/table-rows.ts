/**
 * Rows of one table that are newer than the state engine's: by key, and in the order of versions.
 * Reads look here first, then in the engine; a checkpoint takes them out when the engine has them.
 */
import type { StampedRow } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import type { EngineRow, RowRange } from "./engine.ts";
import { latin1 } from "./record.ts";
import { SortedNames } from "./sorted-names.ts";

/** Values are copied into slabs of this size; larger ones than an eighth of it have a buffer each. */
const SLAB_BYTES = 64 * 1024;

/**
 * Values of waiting rows live apart from everything short-lived: a slab is freed only as a whole. Rows
 * wait by the hundred thousand, so one holds no buffer objects of its own; they are made when asked for.
 */
let slab = Buffer.alloc(0);
let slabUsed = 0;

class WaitingRow implements EngineRow {
  /** The row key as a map's key. */
  readonly name: string;
  readonly version: number;
  readonly deleted: boolean;
  /** A newer state of the row is here. */
  overwritten = false;
  readonly #slab: Buffer;
  readonly #at: number;
  readonly #end: number;

  /** Copies: rows wait here for seconds and must not hold the network buffers they came in. */
  constructor({ row, value, version, deleted }: StampedRow) {
    this.name = latin1(row);
    this.version = version;
    this.deleted = deleted;
    const isLarge = value.length > SLAB_BYTES / 8;
    if (!isLarge && slabUsed + value.length > slab.length) {
      slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      slabUsed = 0;
    }
    this.#slab = isLarge ? Buffer.allocUnsafeSlow(value.length) : slab;
    this.#at = isLarge ? 0 : slabUsed;
    this.#end = this.#at + value.length;
    this.#slab.set(value, this.#at);
    if (!isLarge) slabUsed = this.#end;
  }

  get row(): Buffer {
    return Buffer.from(this.name, "latin1");
  }

  get value(): Buffer {
    return this.#slab.subarray(this.#at, this.#end);
  }
}

export class TableRows {
  readonly #byKey = new Map<string, WaitingRow>();
  readonly #names = new SortedNames();
  /** Ascending versions; rows overwritten since are passed over, and at most half of them. */
  #byVersion: WaitingRow[] = [];
  #overwritten = 0;
  /** Through this version the rows are being written to the engine, and leave then. */
  #leavingThrough = 0;

  get size(): number {
    return this.#byKey.size;
  }

  get isEmpty(): boolean {
    return this.#byVersion.length === 0;
  }

  /** True when more rows wait by it than before: it takes no other's place, or one's that leaves anyway. */
  put(row: StampedRow): boolean {
    const kept = new WaitingRow(row);
    const before = this.#byKey.get(kept.name);
    if (before === undefined) this.#names.add(kept.name);
    else this.#overwrite(before);
    this.#byKey.set(kept.name, kept);
    this.#byVersion.push(kept);
    return before === undefined || before.version <= this.#leavingThrough;
  }

  #overwrite(row: WaitingRow): void {
    row.overwritten = true;
    this.#overwritten += 1;
    if (this.#overwritten * 2 > this.#byVersion.length) this.#passBy(0);
  }

  /** Drops what is overwritten from `first` on, and everything before. */
  #passBy(first: number): void {
    const kept: WaitingRow[] = [];
    for (let i = first; i < this.#byVersion.length; i++)
      if (!this.#byVersion[i]!.overwritten) kept.push(this.#byVersion[i]!);
    this.#byVersion = kept;
    this.#overwritten = 0;
  }

  /** A checkpoint writes the rows through this version; `forgetThrough` follows. */
  leaveThrough(version: number): void {
    this.#leavingThrough = version;
  }

  get(row: Uint8Array): EngineRow | undefined {
    return this.#byKey.get(latin1(row));
  }

  /** Rows above a version, in order, each once. */
  *changes(after: number): Iterable<EngineRow> {
    const rows = this.#byVersion;
    for (let i = this.#firstAbove(after); i < rows.length; i++) {
      const row = rows[i]!;
      if (!row.overwritten) yield row;
    }
  }

  /** About `limit` rows above a version, whole versions only. */
  part(after: number, limit: number): { rows: EngineRow[]; through: number; isLast: boolean } {
    const rows: EngineRow[] = [];
    let through = after;
    for (const row of this.changes(after)) {
      if (rows.length >= limit && row.version > through) return { rows, through, isLast: false };
      rows.push(row);
      through = row.version;
    }
    return { rows, through, isLast: true };
  }

  #firstAbove(version: number): number {
    let low = 0;
    let high = this.#byVersion.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#byVersion[middle]!.version > version) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  *range({ first, end, reverse }: RowRange): Iterable<EngineRow> {
    const low = latin1(first);
    const high = end && latin1(end);
    for (const name of this.#names.range(low, high, reverse)) yield this.#byKey.get(name)!;
  }

  /** The engine has everything up to this version now: only what is newer still waits here. */
  forgetThrough(version: number): void {
    const kept = this.#firstAbove(version);
    for (let i = 0; i < kept; i++) {
      const row = this.#byVersion[i]!;
      if (!row.overwritten) this.#byKey.delete(row.name);
    }
    this.#passBy(kept);
    this.#names.filter((name) => this.#byKey.has(name));
  }
}
