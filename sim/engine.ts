/**
 * The state engine of a simulated disk: the memory engine, which outlives its process, behind
 * commits that take time and happen whole or not at all.
 */
import type { EngineEntry, StateEngine } from "../services/kvsvr/storage/engine.ts";
import { MemoryEngine } from "../services/kvsvr/storage/memory.ts";
import type { Clock, Process } from "./clock.ts";

export class DurableEngine {
  readonly #committed: EngineEntry[][] = [];
  readonly #stored = new MemoryEngine();

  commit(entries: readonly EngineEntry[]): void {
    const own = entries.map((entry) => ({ ...entry, rows: [...entry.rows] }));
    this.#committed.push(own);
    // A memory engine's commit is done when it returns.
    void this.#stored.commit(own);
  }

  copy(): DurableEngine {
    const copy = new DurableEngine();
    for (const entries of this.#committed) copy.commit(entries);
    return copy;
  }

  /** The engine as one process sees it. */
  openBy(process: Process, clock: Clock, commitMs: () => number): StateEngine {
    const stored = this.#stored;
    return {
      register: (registerKey) => stored.register(registerKey),
      row: (registerKey, row) => stored.row(registerKey, row),
      rows: (registerKey, range) => stored.rows(registerKey, range),
      changes: (registerKey, after) => stored.changes(registerKey, after),
      changeNames: (registerKey, from, limit) => stored.changeNames(registerKey, from, limit),
      tableAfter: (registerKey) => stored.tableAfter(registerKey),
      hasRows: (registerKey) => stored.hasRows(registerKey),
      keys: (after, limit) => stored.keys(after, limit),
      commit: (entries) => {
        // As it was when the commit began: what changes meanwhile belongs to the next one.
        const own = entries.map((entry) => {
          const register = entry.register && Buffer.from(entry.register);
          return { ...entry, register, rows: [...entry.rows] };
        });
        return new Promise((resolve) =>
          clock.after(process, commitMs(), () => {
            this.commit(own);
            resolve();
          }),
        );
      },
      close: () => Promise.resolve(),
    };
  }
}
