/**
 * Keys that are newer in memory than in the state engine, by their numbers on the shelf: slot by slot,
 * which is the engine's order.
 */

export const NO_LIMIT = Number.POSITIVE_INFINITY;

export class Dirty {
  readonly #bySlot = new Map<number, number[]>();
  /** The slots in order; undefined: one has come since. */
  #sorted: number[] | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds a key that was not dirty; `group`: its keyspace and slot. */
  add(id: number, group: number): void {
    this.#size += 1;
    const ids = this.#bySlot.get(group);
    if (ids !== undefined) ids.push(id);
    else {
      this.#bySlot.set(group, [id]);
      this.#sorted = undefined;
    }
  }

  inOrder(): number[] {
    return this.#groups().flatMap((group) => this.#bySlot.get(group)!);
  }

  /** Keys of the slots from `first` to `last`. */
  within(first: number, last: number): number[] {
    const ids: number[] = [];
    const groups = this.#groups();
    for (let at = this.#atLeast(first); at < groups.length && groups[at]! <= last; at++)
      ids.push(...this.#bySlot.get(groups[at]!)!);
    return ids;
  }

  /** The slot with which those above `first` have about `limit` entries; NO_LIMIT: all have fewer. */
  through(first: number, limit: number): number {
    let count = 0;
    const groups = this.#groups();
    // Of the first slot some were listed before.
    for (let at = this.#atLeast(first + 1); at < groups.length; at++) {
      count += this.#bySlot.get(groups[at]!)!.length;
      if (count >= limit) return groups[at]!;
    }
    return NO_LIMIT;
  }

  /** Where in the order the slots from this one on begin. */
  #atLeast(group: number): number {
    const groups = this.#groups();
    let low = 0;
    let high = groups.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (groups[middle]! < group) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #groups(): readonly number[] {
    this.#sorted ??= [...this.#bySlot.keys()].sort((a, b) => a - b);
    return this.#sorted;
  }
}
