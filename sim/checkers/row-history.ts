/** The rows of a table through its versions, as far as the changes' versions are known. */
import type { TableWrite } from "../history.ts";

/** What a row may hold from a version on. */
export interface RowWrite {
  readonly version: number;
  /** Several when several changes of that version wrote the row; null: deleted. */
  readonly values: Set<string | null>;
}

export class RowHistory {
  readonly #rows = new Map<string, RowWrite[]>();
  readonly #unsureDeletes = new Set<string>();
  #sorted = false;

  get names(): ReadonlyMap<string, unknown> {
    return this.#rows;
  }

  /** Adds what a change that took effect in `version` wrote. */
  add(write: TableWrite, version: number): void {
    const last = new Map<string, string | null>();
    write.operations.forEach((operation, i) => {
      const result = write.results?.[i];
      // Of an unknown change only what was seen counts, and the rest of it was written with it.
      if (operation.do === "upsert") last.set(operation.row, operation.value);
      if (operation.do === "insert" && result?.existed === false)
        last.set(operation.row, operation.value);
      if (operation.do === "delete" && result?.existed === true) last.set(operation.row, null);
      if (operation.do === "delete" && result === undefined) this.#unsureDeletes.add(operation.row);
      if (operation.do === "append" && result?.existed === false)
        last.set(`n/${result.number}`, operation.value);
    });
    for (const [row, value] of last) this.#put(row, value, version);
  }

  /** A row that a change of unknown outcome was seen to have written. */
  addSeen(row: string, value: string, version: number): void {
    this.#put(row, value, version);
  }

  /** A change whose version is not known: only what it may have deleted is of interest. */
  addUnplaced(write: TableWrite): void {
    for (const operation of write.operations)
      if (operation.do === "delete") this.#unsureDeletes.add(operation.row);
  }

  #put(row: string, value: string | null, version: number): void {
    const writes = this.#rows.get(row) ?? [];
    this.#rows.set(row, writes);
    const same = writes.find((write) => write.version === version);
    if (same === undefined) writes.push({ version, values: new Set([value]) });
    else same.values.add(value);
    this.#sorted = false;
  }

  /** The newest write at or below a version. */
  newest(row: string, version: number): RowWrite | undefined {
    this.#sort();
    const writes = this.#rows.get(row) ?? [];
    let low = 0;
    let high = writes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (writes[middle]!.version <= version) low = middle + 1;
      else high = middle;
    }
    return writes[low - 1];
  }

  #sort(): void {
    if (this.#sorted) return;
    for (const writes of this.#rows.values()) writes.sort((a, b) => a.version - b.version);
    this.#sorted = true;
  }

  /** A deletion of unknown outcome may have removed it, at any version. */
  mayBeDeleted(row: string): boolean {
    return this.#unsureDeletes.has(row);
  }
}
