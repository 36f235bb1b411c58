/**
 * Which group of a partitioned service serves which slot, as this process knows it. Told by whoever
 * follows the control table; the store's client looks here. It is a hint: a group that does not serve a
 * slot says so itself.
 */

/** Slots from `first` to `last`, included, of one kind of data, and the group that serves them. */
export interface Shard {
  readonly keyspace: number;
  readonly first: number;
  readonly last: number;
  readonly group: number;
}

/** Slots of a keyspace: the unit of placement. */
export const SLOTS = 4096;
/** Serves what is named nowhere. */
export const FIRST_GROUP = 1;

export class Shards {
  #all: readonly Shard[] = [];
  #groups: ReadonlyMap<number, Uint8Array> = new Map();
  /** Number of the move under way; 0: none. */
  #move = 0;
  /** Asks for the newest at once; set by whoever follows the control table. Never rejects. */
  refresh: () => Promise<void> = () => Promise.resolve();
  /** Told at every look at the control table while there is a move: those who carry moves out. */
  readonly movers = new Set<() => void>();

  get all(): readonly Shard[] {
    return this.#all;
  }

  /** Number of the move under way; 0: none. */
  get move(): number {
    return this.#move;
  }

  /** Everything is the first group's, so that then no call looks for a slot. */
  get isWhole(): boolean {
    return this.#groups.size === 0;
  }

  groupOf(keyspace: number, slot: number): number {
    return this.#groups.get(keyspace)?.[slot] || FIRST_GROUP;
  }

  /** Replaces everything that was known before. */
  set(all: readonly Shard[], move: number): void {
    this.#move = move;
    this.#setAll(all);
    if (move !== 0) for (const told of this.movers) told();
  }

  #setAll(all: readonly Shard[]): void {
    if (JSON.stringify(all) === JSON.stringify(this.#all)) return;
    const groups = new Map<number, Uint8Array>();
    for (const { keyspace, last } of all) {
      const size = Math.max(last + 1, groups.get(keyspace)?.length ?? 0);
      groups.set(keyspace, new Uint8Array(size));
    }
    for (const { keyspace, first, last, group } of all)
      groups.get(keyspace)!.fill(group, first, last + 1);
    this.#all = [...all];
    this.#groups = groups;
  }
}
