/**
 * A consumer as the fan-out worker is one: the offset is kept with the effects, so that entries given
 * twice take effect once. Shared by the workers of all campuses; what it sees wrong is written down.
 */
import type { StreamEntries } from "../../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import type { QueueCluster } from "./cluster.ts";
import { CAMPUSES } from "./cluster.ts";

export class Ledger {
  /** Ids in the order of their slots, by stream; voids left out. */
  readonly read = new Map<string, string[]>();
  /** Where each was read, by stream and id. */
  readonly slots = new Map<string, number[]>();
  readonly wrong: string[] = [];
  readonly #offsets = new Map<string, number>();

  take({ stream, after, entries }: StreamEntries): number {
    let expected = after;
    for (const entry of entries) {
      expected += 1;
      if (entry.slot !== expected)
        this.wrong.push(`${stream}: ${entry.slot}, not ${expected}, was given`);
      const offset = this.#offsets.get(stream) ?? 0;
      if (entry.slot <= offset) continue;
      if (entry.slot !== offset + 1) this.wrong.push(`${stream}: ${entry.slot} follows ${offset}`);
      this.#offsets.set(stream, entry.slot);
      if (entry.void) continue;
      const id = Buffer.from(entry.id).toString();
      const ids = this.read.get(stream) ?? [];
      ids.push(id);
      this.read.set(stream, ids);
      const key = `${stream}/${id}`;
      this.slots.set(key, [...(this.slots.get(key) ?? []), entry.slot]);
    }
    return this.#offsets.get(stream) ?? 0;
  }

  get count(): number {
    return this.slots.size;
  }
}

export class Workers {
  readonly #cluster: QueueCluster;
  readonly #ledger: Ledger;
  readonly #running: Promise<void>[] = [];
  #isStopped = false;

  constructor(cluster: QueueCluster, ledger: Ledger) {
    this.#cluster = cluster;
    this.#ledger = ledger;
    for (const name of CAMPUSES) this.#running.push(this.#run(name));
  }

  async #run(name: string): Promise<void> {
    while (!this.#isStopped) {
      if (!this.#cluster.isUp(name)) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        continue;
      }
      const reader = this.#cluster.reader(name);
      try {
        while (!this.#isStopped && this.#cluster.isUp(name)) {
          const found = await reader.poll({ positions: [], waitMs: 100 });
          const positions = found.map((entries) => ({
            stream: entries.stream,
            through: this.#ledger.take(entries),
          }));
          if (positions.length > 0) await reader.consumed(positions);
        }
      } catch {
        // The campus went away; its next life is polled anew.
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }
}
