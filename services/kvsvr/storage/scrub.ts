/**
 * Goes through all that the state engine has, a little at a time, for what nobody reads: a record that
 * is damaged unseen is no copy any more, and its table's next loss may be the last. Nothing is changed here;
 * what is found is noted, and made whole from the others (renewal.ts, mending.ts).
 *
 *   registers    checksum; the slot in the name is the key's
 *   rows         checksum; the name of its newest change has a row, and each row has such a name
 *   tables       rows have a register
 */
import { monotonicMs } from "../../svrkit/call.ts";
import type { Logger } from "../../svrkit/log.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { restUnless } from "../../svrkit/rest.ts";
import { SCRUB_AT_ONCE, SCRUB_REST_MS_MIN, SCRUB_REST_SHARE } from "../limits.ts";
import type { DamagedRows } from "./damaged-rows.ts";
import { type ChangeName, RecordDamaged, type StateEngine } from "./engine.ts";
import type { Page } from "./listing.ts";
import { isKeys } from "./record.ts";

const scrubbed = monitorId("kvsvr.records_scrubbed");
const wrongNames = monitorId("kvsvr.wrong_names");

const NOTHING = Buffer.alloc(0);
const NEXT = Buffer.of(0);

export interface ScrubParts {
  readonly engine: StateEngine;
  readonly damagedRows: DamagedRows;
  /** Lists registers, and notes those that are damaged. */
  readonly list: (after: Buffer | undefined, limit: number) => Page;
  /** There are rows of the table in the engine; its register may be lost. */
  readonly hasRows: (registerKey: Buffer) => void;
  readonly log: Logger;
}

interface Registers {
  /** Names of tables; the records are not kept, for looking through a table takes its time. */
  readonly tables: readonly Buffer[];
  readonly looked: number;
  readonly next: Buffer | undefined;
}

interface Looked {
  readonly rows: readonly Uint8Array[];
  /** Where others may follow. */
  readonly next: Buffer | undefined;
}

export class Scrub {
  readonly #parts: ScrubParts;
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(parts: ScrubParts) {
    this.#parts = parts;
  }

  /** Every so often, and first after `firstMs`: the replicas of a group take turns. */
  start(everyMs: number, firstMs: number): void {
    this.#running = this.#run(everyMs, firstMs);
  }

  async #run(everyMs: number, firstMs: number): Promise<void> {
    const { signal } = this.#stopping;
    for (let restMs = firstMs; !signal.aborted; restMs = everyMs) {
      try {
        await restUnless(signal, restMs);
        await this.#pass();
      } catch (error) {
        if (signal.aborted) return;
        this.#parts.log.error({ err: error }, "the state was not looked through; it is later");
      }
    }
  }

  async #pass(): Promise<void> {
    const { engine, hasRows } = this.#parts;
    for (let after: Buffer | undefined, more = true; more; ) {
      const startedMs = monotonicMs();
      const { tables, looked, next }: Registers = this.#registers(after);
      await this.#rest(startedMs, looked);
      for (const table of tables) await this.#table(table);
      after = next;
      more = next !== undefined;
    }
    for (let table = engine.tableAfter(undefined); table !== undefined; ) {
      const startedMs = monotonicMs();
      if (this.#checkName(table)) hasRows(table);
      table = engine.tableAfter(table);
      await this.#rest(startedMs, 0);
    }
  }

  #registers(after: Buffer | undefined): Registers {
    const { listed, next } = this.#parts.list(after, SCRUB_AT_ONCE);
    for (const { entryKey } of listed) this.#checkName(entryKey);
    const tables = listed.filter(({ register }) => register?.held.model === "table");
    return { tables: tables.map(({ entryKey }) => entryKey), looked: listed.length, next };
  }

  async #table(own: Buffer): Promise<void> {
    const { engine } = this.#parts;
    for (let from: ChangeName = { version: 0, row: NOTHING }, more = true; more; ) {
      const startedMs = monotonicMs();
      const names = engine.changeNames(own, from, SCRUB_AT_ONCE);
      for (const { row, version } of names) this.#check(own, row, [version]);
      more = names.length === SCRUB_AT_ONCE;
      const last = names.at(-1);
      if (last !== undefined) from = { version: last.version, row: behind(last.row) };
      await this.#rest(startedMs, names.length);
    }
    for (let first: Buffer | undefined = NOTHING; first !== undefined; ) {
      const startedMs = monotonicMs();
      const { rows, next }: Looked = this.#look(own, first);
      for (const row of rows) this.#check(own, row, []);
      first = next;
      await this.#rest(startedMs, rows.length);
    }
  }

  /** Some rows from one on; one that is damaged ends them, and is noted. */
  #look(own: Buffer, first: Buffer): Looked {
    const { engine, damagedRows } = this.#parts;
    const rows: Uint8Array[] = [];
    try {
      for (const { row } of engine.rows(own, { first, end: undefined, reverse: false })) {
        rows.push(row);
        if (rows.length === SCRUB_AT_ONCE) return { rows, next: behind(row) };
      }
      return { rows, next: undefined };
    } catch (error) {
      if (!(error instanceof RecordDamaged) || error.row === undefined) throw error;
      damagedRows.note(error);
      return { rows, next: behind(error.row) };
    }
  }

  #check(own: Buffer, row: Uint8Array, versions: readonly number[]): void {
    const { damagedRows } = this.#parts;
    if (!damagedRows.isSound(own, { row, versions })) damagedRows.note(new RecordDamaged(own, row));
  }

  #checkName(own: Buffer): boolean {
    if (isKeys(own)) return true;
    monitor.add(wrongNames, 1);
    this.#parts.log.error(
      { name: own.toString("hex") },
      "a key's name is damaged, and what it was called is not known: rebuild this replica from the others",
    );
    return false;
  }

  async #rest(startedMs: number, looked: number): Promise<void> {
    monitor.add(scrubbed, looked);
    const ms = (monotonicMs() - startedMs) * SCRUB_REST_SHARE;
    await restUnless(this.#stopping.signal, Math.max(SCRUB_REST_MS_MIN, ms));
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }
}

/** The very next name. */
function behind(row: Uint8Array): Buffer {
  return Buffer.concat([row, NEXT]);
}
