/** Entries that are newer in memory than in the state engine, by slot, which is the engine's order. */
import { slotGroup } from "./record.ts";
import type { Entry } from "./state.ts";

export const NO_LIMIT = Number.POSITIVE_INFINITY;

export class Dirty {
  readonly #bySlot = new Map<number, Entry[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds an entry that is not marked dirty yet, and marks it. */
  add(entry: Entry): void {
    if (entry.dirty) return;
    entry.dirty = true;
    this.#size += 1;
    const group = slotGroup(entry.registerKey);
    const entries = this.#bySlot.get(group);
    if (entries === undefined) this.#bySlot.set(group, [entry]);
    else entries.push(entry);
  }

  inOrder(): Entry[] {
    return this.#groups().flatMap((group) => this.#bySlot.get(group)!);
  }

  /** Entries of the slots from `first` to `last`. */
  within(first: number, last: number): Entry[] {
    const entries: Entry[] = [];
    for (const [group, those] of this.#bySlot) {
      if (group >= first && group <= last) entries.push(...those);
    }
    return entries;
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
