/**
 * From a key's hash to a small number, in one flat array: open addressing, linear probing, and hash and
 * number side by side, so that a look-up touches one cache line and makes no object. Whoever owns the
 * keys says whether a number is the one looked for.
 */

const FIRST_SLOTS = 1_024;
/** Beyond this share of taken slots the array doubles. */
const LOAD_MAX = 0.5;

export class KeyIndex<K> {
  readonly #isKey: (id: number, key: K) => boolean;
  /** Pairs: hash, number + 1. A pair whose second half is 0 is free. */
  #pairs = new Int32Array(FIRST_SLOTS * 2);
  #mask = FIRST_SLOTS - 1;
  #size = 0;

  constructor(isKey: (id: number, key: K) => boolean) {
    this.#isKey = isKey;
  }

  get size(): number {
    return this.#size;
  }

  /** The number that was added for the key; -1: none. */
  find(hash: number, key: K): number {
    const pairs = this.#pairs;
    const mask = this.#mask;
    const wanted = hash | 0;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = pairs[slot * 2 + 1]! - 1;
      if (id < 0) return -1;
      if (pairs[slot * 2] === wanted && this.#isKey(id, key)) return id;
    }
  }

  /** Adds a key that is not there. */
  add(hash: number, id: number): void {
    if (this.#size + 1 > (this.#mask + 1) * LOAD_MAX) this.#grow();
    this.#size += 1;
    this.#place(hash | 0, id + 1);
  }

  #place(hash: number, entry: number): void {
    const pairs = this.#pairs;
    let slot = hash & this.#mask;
    while (pairs[slot * 2 + 1] !== 0) slot = (slot + 1) & this.#mask;
    pairs[slot * 2] = hash;
    pairs[slot * 2 + 1] = entry;
  }

  /** Removes a key that is there; those behind it move up, so that no probe ends too early. */
  remove(hash: number, id: number): void {
    const pairs = this.#pairs;
    const mask = this.#mask;
    let hole = hash & mask;
    while (pairs[hole * 2 + 1] !== id + 1) hole = (hole + 1) & mask;
    for (let slot = (hole + 1) & mask; pairs[slot * 2 + 1] !== 0; slot = (slot + 1) & mask) {
      const home = pairs[slot * 2]! & mask;
      // Reached by probing from its home through the hole: it may lie there instead.
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      pairs[hole * 2] = pairs[slot * 2]!;
      pairs[hole * 2 + 1] = pairs[slot * 2 + 1]!;
      hole = slot;
    }
    pairs[hole * 2 + 1] = 0;
    this.#size -= 1;
  }

  #grow(): void {
    const old = this.#pairs;
    this.#pairs = new Int32Array(old.length * 2);
    this.#mask = this.#pairs.length / 2 - 1;
    for (let i = 0; i < old.length; i += 2) {
      if (old[i + 1] !== 0) this.#place(old[i]!, old[i + 1]!);
    }
  }
}
