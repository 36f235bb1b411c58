/** Entries that are newer in memory than in the state engine, by slot, which is the engine's order. */
import { slotGroup } from "./record.ts";
import type { Entry } from "./state.ts";

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
  *within(first: number, last: number): Iterable<Entry> {
    for (const [group, entries] of this.#bySlot) {
      if (group >= first && group <= last) yield* entries;
    }
  }

  #groups(): number[] {
    return [...this.#bySlot.keys()].sort((a, b) => a - b);
  }
}
