/** A state engine in memory: sorted keys, no disk. For tests, the simulator, and as the model of the suite. */
import type {
  ChangeName,
  EngineEntry,
  EngineKey,
  EngineRow,
  RowRange,
  StateEngine,
} from "./engine.ts";
import { latin1, type StoredRow } from "./record.ts";

export class MemoryEngine implements StateEngine {
  readonly #registers = new Map<string, Buffer>();
  readonly #tables = new Map<string, Map<string, EngineRow>>();

  register(registerKey: Buffer): Buffer | undefined {
    return this.#registers.get(latin1(registerKey));
  }

  row(registerKey: Buffer, row: Uint8Array): StoredRow | undefined {
    return this.#tables.get(latin1(registerKey))?.get(latin1(row));
  }

  *rows(registerKey: Buffer, range: RowRange): Iterable<EngineRow> {
    const rows = this.#sorted(registerKey, (a, b) => Buffer.compare(a.row, b.row));
    if (range.reverse) rows.reverse();
    for (const row of rows) {
      if (Buffer.compare(row.row, range.first) < 0) continue;
      if (range.end !== undefined && Buffer.compare(row.row, range.end) >= 0) continue;
      yield row;
    }
  }

  *changes(registerKey: Buffer, after: number): Iterable<EngineRow> {
    for (const row of this.#sorted(registerKey, byVersion)) if (row.version > after) yield row;
  }

  changeNames(registerKey: Buffer, from: ChangeName, limit: number): ChangeName[] {
    return this.#sorted(registerKey, byVersion)
      .filter((row) => byVersion(row, from) >= 0)
      .slice(0, limit);
  }

  hasRows(registerKey: Buffer): boolean {
    return (this.#tables.get(latin1(registerKey))?.size ?? 0) > 0;
  }

  tableAfter(registerKey: Buffer | undefined): Buffer | undefined {
    const floor = registerKey === undefined ? "" : latin1(registerKey);
    const names = [...this.#tables.keys()].sort();
    const next = names.find((name) => name > floor && this.#tables.get(name)!.size > 0);
    return next === undefined ? undefined : Buffer.from(next, "latin1");
  }

  #sorted(registerKey: Buffer, order: (a: EngineRow, b: EngineRow) => number): EngineRow[] {
    return [...(this.#tables.get(latin1(registerKey))?.values() ?? [])].sort(order);
  }

  keys(after: Buffer | undefined, limit: number): EngineKey[] {
    const floor = after === undefined ? "" : latin1(after);
    const names = [...this.#registers.keys()].filter((name) => name > floor).sort();
    return names.slice(0, limit).map((name) => ({
      registerKey: Buffer.from(name, "latin1"),
      register: this.#registers.get(name)!,
    }));
  }

  async commit(entries: readonly EngineEntry[]): Promise<void> {
    for (const entry of entries) {
      const name = latin1(entry.registerKey);
      if (entry.removed === true) this.#registers.delete(name);
      if (entry.register !== undefined) this.#registers.set(name, Buffer.from(entry.register));
      let table = this.#tables.get(name);
      if (table === undefined && entry.rows.length > 0) {
        table = new Map();
        this.#tables.set(name, table);
      }
      const { emptied = 0 } = entry;
      for (const row of [...(table?.keys() ?? [])].slice(0, emptied)) table?.delete(row);
      for (const { row } of entry.lost ?? []) table?.delete(latin1(row));
      for (const { row, version } of entry.forgotten)
        if (table?.get(latin1(row))?.version === version) table.delete(latin1(row));
      // As on a disk: what they are, not the objects given.
      for (const { row, value, version, deleted } of entry.rows)
        table?.set(latin1(row), { row, value, version, deleted });
    }
  }

  async close(): Promise<void> {}
}

function byVersion(a: ChangeName, b: ChangeName): number {
  return a.version - b.version || Buffer.compare(a.row, b.row);
}
