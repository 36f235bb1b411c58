/**
 * Rows of tables of which the record is damaged, or missing. A row is decided data and no vote: the
 * register beside it is whole, and says which state of the table the row belongs to. So one row alone is
 * fetched again (mending.ts), and its table goes on meanwhile; who asks for the row asks another replica.
 *
 *   read -> damaged -> fetched as it was, put in its place -> mended
 *
 * The name of a row's change is kept apart from its record, and tells which version of it is missed. A name
 * without a record is damage, too; so is a record without a name.
 */
import type { Key } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { DAMAGED_NAMES_AT_ONCE, DAMAGED_ROWS_MAX } from "../limits.ts";
import { trimsOf } from "../protocol/register.ts";
import { isForgotten } from "../protocol/trim.ts";
import {
  type EngineEntry,
  type EngineRow,
  type LostRow,
  RecordDamaged,
  type StateEngine,
  unlessDamaged,
} from "./engine.ts";
import type { Entry } from "./entry.ts";
import { keyOf, latin1 } from "./record.ts";

const damagedRows = monitorId("kvsvr.damaged_rows");
const unnoted = monitorId("kvsvr.damaged_unnoted");

const NEXT = Buffer.of(0);
const NO_VERSIONS: readonly number[] = [];

export interface DamagedTable {
  readonly key: Key;
  readonly registerKey: Buffer;
  /** Inner row keys. */
  readonly rows: readonly Buffer[];
}

export interface DamagedRowsParts {
  readonly engine: StateEngine;
  /** Of a slot that was moved away rows and names go one by one: what is left of them is no damage. */
  readonly isHeld: (registerKey: Buffer) => boolean;
  /** Commits what is made when nothing else is being written. */
  readonly commit: (make: () => readonly EngineEntry[]) => Promise<void>;
}

export class DamagedRows {
  readonly #parts: DamagedRowsParts;
  /** By the table's name, and in it by the row's. */
  readonly #tables = new Map<string, { registerKey: Buffer; rows: Map<string, Buffer> }>();
  #size = 0;
  /** Called when there is another one. */
  onFound: (registerKey: Buffer) => void = () => {};

  constructor(parts: DamagedRowsParts) {
    this.#parts = parts;
  }

  /** Runs a read of rows; damage that it meets is noted. */
  guard<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      this.note(error);
      throw error;
    }
  }

  /** Notes the row that an error is about, if it is about one. */
  note(error: unknown): void {
    if (!(error instanceof RecordDamaged) || error.row === undefined) return;
    const { registerKey, row } = error;
    if (!this.#parts.isHeld(registerKey)) return;
    const name = latin1(registerKey);
    const table = this.#tables.get(name) ?? { registerKey, rows: new Map<string, Buffer>() };
    if (table.rows.has(latin1(row))) return;
    if (this.#size >= DAMAGED_ROWS_MAX) {
      monitor.add(unnoted, 1);
      return;
    }
    this.#tables.set(name, table);
    table.rows.set(latin1(row), row);
    this.#count(1);
    this.onFound(registerKey);
  }

  #count(more: number): void {
    this.#size += more;
    monitor.set(damagedRows, this.#size);
  }

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  get tables(): DamagedTable[] {
    return [...this.#tables.values()].map(({ registerKey, rows }) => ({
      key: keyOf(registerKey),
      registerKey,
      rows: [...rows.values()],
    }));
  }

  /** The row is mended, or another has taken its place. */
  forget(registerKey: Buffer, row: Uint8Array): void {
    const table = this.#tables.get(latin1(registerKey));
    if (table?.rows.delete(latin1(row)) !== true) return;
    if (table.rows.size === 0) this.#tables.delete(latin1(registerKey));
    this.#count(-1);
  }

  /** They are no rows of this replica any more. */
  drop(isGone: (registerKey: Buffer) => boolean): void {
    for (const [name, { registerKey, rows }] of this.#tables) {
      if (!isGone(registerKey)) continue;
      this.#tables.delete(name);
      this.#count(-rows.size);
    }
  }

  /** With the versions at which changes of each are noted. */
  async lostRows({ registerKey, rows }: DamagedTable, stopped?: AbortSignal): Promise<LostRow[]> {
    const versions = new Map(rows.map((row): [string, number[]] => [latin1(row), []]));
    for (let from = { version: 0, row: NEXT.subarray(1) }, more = true; more; ) {
      stopped?.throwIfAborted();
      const names = this.#parts.engine.changeNames(registerKey, from, DAMAGED_NAMES_AT_ONCE);
      for (const { row, version } of names) versions.get(latin1(row))?.push(version);
      more = names.length === DAMAGED_NAMES_AT_ONCE;
      const last = names.at(-1);
      if (last !== undefined)
        from = { version: last.version, row: Buffer.concat([last.row, NEXT]) };
      await new Promise((turn) => setImmediate(turn));
    }
    return rows.map((row) => ({ row, versions: versions.get(latin1(row)) ?? NO_VERSIONS }));
  }

  /**
   * The newest version of which there is a trace, the record's own or a noted one; 0: none. A name has no
   * checksum, so it alone is no proof: not that the row is older, nor that it is forgotten.
   */
  versionOf({ registerKey, register }: Entry, { row, versions }: LostRow): number {
    const stored = unlessDamaged(() => this.#parts.engine.row(registerKey, row));
    const traces = [...versions, stored?.version ?? 0];
    return Math.max(0, ...traces.filter((version) => version <= register.heldVersion));
  }

  /** What the engine has of a row is as it was written; `versions`: at which changes of it were noted. */
  isSound(registerKey: Buffer, { row, versions }: LostRow): boolean {
    const { engine } = this.#parts;
    const read = unlessDamaged(() => ({ stored: engine.row(registerKey, row) }));
    if (read === undefined) return false;
    const isNoted = (version: number) => {
      const [name] = engine.changeNames(registerKey, { version, row }, 1);
      return name?.version === version && latin1(name.row) === latin1(row);
    };
    const { stored } = read;
    if (stored !== undefined && !isNoted(stored.version)) return false;
    return !versions.some((version) => version > (stored?.version ?? 0) && isNoted(version));
  }

  /**
   * Puts a row in the place of a damaged one, or, `mended` undefined, nothing: the table has none any more.
   * Durable when it resolves. False: a newer one has come meanwhile, which the next checkpoint writes there.
   */
  async mend(entry: Entry, lost: LostRow, mended: EngineRow | undefined): Promise<boolean> {
    const { registerKey } = entry;
    let isNewer = false;
    await this.#parts.commit(() => {
      // Another one may have been written over it meanwhile.
      if (this.isSound(registerKey, lost)) return [];
      // It goes with its register, and when the log has it: alone it would be of a version that is not there.
      isNewer = entry.rows?.get(lost.row) !== undefined;
      if (isNewer) return [];
      const stays =
        mended !== undefined && !isForgotten(trimsOf(entry.register), mended.row, mended.version);
      const rows = stays ? [mended] : [];
      return [{ registerKey, register: undefined, rows, forgotten: [], lost: [lost] }];
    });
    if (!isNewer) this.forget(registerKey, lost.row);
    return !isNewer;
  }
}
