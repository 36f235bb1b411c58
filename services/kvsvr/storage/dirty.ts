/**
 * Keys that are newer in memory than in the state engine, by their numbers on the shelf: slot by slot,
 * which is the engine's order.
 */

export const NO_LIMIT = Number.POSITIVE_INFINITY;

export class Dirty {
  readonly #bySlot = new Map<number, number[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds a key that was not dirty; `group`: its keyspace and slot. */
  add(id: number, group: number): void {
    this.#size += 1;
    const ids = this.#bySlot.get(group);
    if (ids === undefined) this.#bySlot.set(group, [id]);
    else ids.push(id);
  }

  inOrder(): number[] {
    return this.#groups().flatMap((group) => this.#bySlot.get(group)!);
  }

  /** Keys of the slots from `first` to `last`. */
  within(first: number, last: number): number[] {
    const ids: number[] = [];
    for (const [group, those] of this.#bySlot) {
      if (group >= first && group <= last) ids.push(...those);
    }
    return ids;
  }

  /** The slot with which those above `first` have about `limit` entries; NO_LIMIT: all have fewer. */
  through(first: number, limit: number): number {
    let count = 0;
    for (const group of this.#groups()) {
      // Of the first slot some were listed before.
      if (group > first) count += this.#bySlot.get(group)!.length;
      if (count >= limit) return group;
    }
    return NO_LIMIT;
  }

  #groups(): number[] {
    return [...this.#bySlot.keys()].sort((a, b) => a - b);
  }
}
