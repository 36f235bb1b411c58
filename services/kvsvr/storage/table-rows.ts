/**
 * Rows of one table that are newer than the state engine's: by key, and in the order of versions.
 * Reads look here first, then in the engine; a checkpoint takes them out when the engine has them.
 */
import type { StampedRow } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import type { EngineRow } from "./engine.ts";
import { latin1 } from "./record.ts";

interface WaitingRow extends EngineRow {
  /** The row key as a map's key. */
  readonly name: string;
  /** A newer state of the row is here. */
  overwritten: boolean;
}

export class TableRows {
  readonly #byKey = new Map<string, WaitingRow>();
  /** Ascending versions; rows overwritten since are passed over. */
  #byVersion: WaitingRow[] = [];

  get size(): number {
    return this.#byKey.size;
  }

  get isEmpty(): boolean {
    return this.#byVersion.length === 0;
  }

  put(row: StampedRow): void {
    // Copies: rows wait here for seconds and must not hold the network buffers they came in.
    const kept: WaitingRow = {
      name: latin1(row.row),
      row: Buffer.from(row.row),
      value: Buffer.from(row.value),
      version: row.version,
      deleted: row.deleted,
      overwritten: false,
    };
    const before = this.#byKey.get(kept.name);
    if (before !== undefined) before.overwritten = true;
    this.#byKey.set(kept.name, kept);
    this.#byVersion.push(kept);
  }

  get(row: Uint8Array): EngineRow | undefined {
    return this.#byKey.get(latin1(row));
  }

  /** The newest state of every row here. */
  all(): EngineRow[] {
    return [...this.#byKey.values()];
  }

  /** Rows above a version, in order, each once. */
  *changes(after: number): Iterable<EngineRow> {
    for (let i = this.#firstAbove(after); i < this.#byVersion.length; i++) {
      const row = this.#byVersion[i]!;
      if (!row.overwritten) yield row;
    }
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

  /** Rows first <= key < end, in key order. */
  range(first: Uint8Array, end: Uint8Array | undefined): EngineRow[] {
    const found: EngineRow[] = [];
    for (const row of this.#byKey.values()) {
      if (Buffer.compare(row.row, first) < 0) continue;
      if (end === undefined || Buffer.compare(row.row, end) < 0) found.push(row);
    }
    return found.sort((a, b) => Buffer.compare(a.row, b.row));
  }

  /** The engine has everything up to this version now: only what is newer still waits here. */
  forgetThrough(version: number): void {
    const kept = this.#firstAbove(version);
    for (let i = 0; i < kept; i++) {
      const row = this.#byVersion[i]!;
      if (!row.overwritten) this.#byKey.delete(row.name);
    }
    this.#byVersion = this.#byVersion.slice(kept);
  }
}
