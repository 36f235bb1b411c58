/**
 * Takes rows that tables have forgotten (protocol/trim.ts) out of the state engine, one table after
 * the other and a few rows at a time, resting as long as that took: nobody waits for it, since reads
 * pass over such rows already.
 *
 * Rows leave in one commit with the register that has forgotten them. With an older register in the
 * engine, a replica killed then would come back to a version that still has them, without them.
 */
import { monotonicMs } from "../../svrkit/call.ts";
import type { Logger } from "../../svrkit/log.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { rest } from "../../svrkit/rest.ts";
import { SWEEP_CHUNK, SWEEP_DELAY_MS, SWEEP_TABLES_MAX } from "../limits.ts";
import { trimsOf } from "../protocol/register.ts";
import { isForgotten } from "../protocol/trim.ts";
import type { DamagedRows } from "./damaged-rows.ts";
import type { EngineRow, StateEngine } from "./engine.ts";
import type { Entry } from "./entry.ts";

const swept = monitorId("kvsvr.rows_swept");

export interface SweeperParts {
  readonly engine: StateEngine;
  /** Hears of a damaged row that keeps a table from being swept, until it is mended. */
  readonly damaged: DamagedRows;
  /** Resolves when commits under way are over: they may hold rows that were forgotten since. */
  readonly committed: () => Promise<void>;
  /** Commits an entry as it stands without these rows. `isLast`: the engine has no others to forget. */
  readonly commit: (
    entry: Entry,
    forgotten: readonly EngineRow[],
    isLast: boolean,
  ) => Promise<void>;
  readonly log: Logger;
}

export class Sweeper {
  readonly #parts: SweeperParts;
  /** Pinned: an entry that is evicted and read again would be another object. */
  readonly #waiting = new Set<Entry>();
  #started = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(parts: SweeperParts) {
    this.#parts = parts;
  }

  /** Those that find no room are swept after the next start, or the next trim, of the table. */
  add(entry: Entry): void {
    if (this.#stopped || this.#waiting.has(entry) || this.#waiting.size >= SWEEP_TABLES_MAX) return;
    entry.pins += 1;
    this.#waiting.add(entry);
    this.#soon();
  }

  /** Called when the log is replayed: until then tables only wait. */
  start(): void {
    this.#started = true;
    this.#soon();
  }

  #soon(): void {
    if (!this.#started || this.#stopped || this.#waiting.size === 0) return;
    if (this.#running !== undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#running = this.#run().finally(() => {
        this.#running = undefined;
        this.#soon();
      });
    }, SWEEP_DELAY_MS);
  }

  async #run(): Promise<void> {
    for (const entry of this.#waiting) {
      if (this.#stopped) return;
      this.#waiting.delete(entry);
      try {
        await this.#sweep(entry);
      } catch (error) {
        this.#parts.damaged.note(error);
        this.#parts.log.error({ err: error }, "forgotten rows stay on the disk for now");
      } finally {
        entry.pins -= 1;
      }
    }
  }

  async #sweep(entry: Entry): Promise<void> {
    await this.#parts.committed();
    for (let after = 0, isLast = false; !isLast && !this.#stopped; ) {
      const startedMs = monotonicMs();
      const part = this.#part(entry, after);
      after = part.through;
      isLast = part.isLast;
      if (part.forgotten.length > 0 || isLast)
        await this.#parts.commit(entry, part.forgotten, isLast);
      monitor.add(swept, part.forgotten.length);
      if (!this.#stopped) await rest(monotonicMs() - startedMs);
    }
  }

  /** Forgotten rows above a version, whole versions only; about SWEEP_CHUNK rows are looked at. */
  #part(entry: Entry, after: number) {
    const trims = trimsOf(entry.register);
    const highest = Math.max(0, ...trims.map((trim) => trim.throughVersion));
    const forgotten: EngineRow[] = [];
    let through = after;
    let looked = 0;
    for (const row of this.#parts.engine.changes(entry.registerKey, after)) {
      if (row.version > highest) break;
      if (looked >= SWEEP_CHUNK && row.version > through)
        return { forgotten, through, isLast: false };
      looked += 1;
      through = row.version;
      if (isForgotten(trims, row.row, row.version)) forgotten.push(row);
    }
    return { forgotten, through, isLast: true };
  }

  /** Tables that are about to be removed are not looked at any more. */
  drop(isDropped: (entry: Entry) => boolean): void {
    for (const entry of this.#waiting) {
      if (!isDropped(entry)) continue;
      this.#waiting.delete(entry);
      entry.pins -= 1;
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
    for (const entry of this.#waiting) entry.pins -= 1;
    this.#waiting.clear();
  }
}
