/**
 * The settled entries of a stream that are not consumed yet, in the order of slots.
 *
 * While an older segment's end is unknown the entries have no slot numbers and nobody is given any;
 * `prepend` brings the older part, and with it the numbers. An id that stands twice, because its
 * producer could not see the older part when it repeated itself, counts where it stands first.
 */
import assert from "node:assert";

export interface BacklogEntry {
  readonly id: Uint8Array;
  readonly payload: Uint8Array;
  readonly isVoid: boolean;
}

export interface NumberedEntry extends BacklogEntry {
  readonly slot: number;
}

const COMPACT_AT = 1_024;

export class Backlog {
  #entries: BacklogEntry[] = [];
  /** Entries of #entries before this were consumed. */
  #head = 0;
  #consumedThrough: number | undefined;
  readonly #positions = new Map<string, number>();
  /** Slots of the last consumed ids, the oldest first. */
  readonly #consumedIds = new Map<string, number>();
  /** Positions count over the life of the backlog: the entry at #entries[i] has #first + i. */
  #first = 0;
  bytes = 0;

  readonly #consumedIdsMax: number;

  /** `consumedThrough` undefined: not numbered yet. */
  constructor(consumedThrough: number | undefined, options: { readonly consumedIdsMax: number }) {
    this.#consumedThrough = consumedThrough;
    this.#consumedIdsMax = options.consumedIdsMax;
  }

  get length(): number {
    return this.#entries.length - this.#head;
  }

  /** Undefined while the entries have no numbers. */
  get consumedThrough(): number | undefined {
    return this.#consumedThrough;
  }

  /** Returns the slot in which the id stands, 0 while there are no numbers. */
  push(entry: BacklogEntry): number {
    const known = entry.isVoid ? undefined : this.slotOf(entry.id);
    const added = known === undefined ? entry : asVoid(entry);
    this.#entries.push(added);
    this.bytes += sizeOf(added);
    const position = this.#first + this.#entries.length - 1;
    if (!added.isVoid) this.#positions.set(keyOf(entry.id), position);
    return known ?? this.#slotAt(position);
  }

  /** The slot of an entry that is, or lately was, here; 0 while it has none; undefined: not known. */
  slotOf(id: Uint8Array): number | undefined {
    const key = keyOf(id);
    const position = this.#positions.get(key);
    return position === undefined ? this.#consumedIds.get(key) : this.#slotAt(position);
  }

  /** The older part of the stream, and through which slot that was consumed. */
  prepend(older: readonly BacklogEntry[], consumedThrough: number): void {
    assert(
      this.#head === 0 && this.#consumedThrough === undefined,
      "numbered entries stay in place",
    );
    const before = new Set(older.filter((entry) => !entry.isVoid).map((entry) => keyOf(entry.id)));
    const newer = this.#entries.map((entry) =>
      before.has(keyOf(entry.id)) ? asVoid(entry) : entry,
    );
    this.#entries = [];
    this.#first = 0;
    this.#positions.clear();
    this.bytes = 0;
    this.#consumedThrough = consumedThrough;
    for (const entry of older) this.push(entry);
    for (const entry of newer) this.push(entry);
  }

  /** Forgets what was consumed; returns how many entries that were. */
  consume(through: number): number {
    if (this.#consumedThrough === undefined) return 0;
    const count = Math.min(through - this.#consumedThrough, this.length);
    if (count <= 0) return 0;
    for (let i = this.#head; i < this.#head + count; i++) this.#forget(i);
    this.#head += count;
    this.#consumedThrough += count;
    this.#compact();
    return count;
  }

  /** Consecutive entries above `after`, at most so many. */
  above(
    after: number,
    limit: { readonly entries: number; readonly bytes: number },
  ): NumberedEntry[] {
    if (this.#consumedThrough === undefined) return [];
    const found: NumberedEntry[] = [];
    let bytes = 0;
    const start = this.#head + Math.max(0, after - this.#consumedThrough);
    for (let i = start; i < this.#entries.length; i++) {
      const entry = this.#entries[i]!;
      bytes += sizeOf(entry);
      if (found.length > 0 && (found.length >= limit.entries || bytes > limit.bytes)) break;
      found.push({ ...entry, slot: this.#slotAt(this.#first + i) });
    }
    return found;
  }

  /** Everything from the n-th unconsumed entry on. */
  from(n: number): readonly BacklogEntry[] {
    return this.#entries.slice(this.#head + n);
  }

  #slotAt(position: number): number {
    if (this.#consumedThrough === undefined) return 0;
    return this.#consumedThrough + 1 + position - (this.#first + this.#head);
  }

  #forget(i: number): void {
    const entry = this.#entries[i]!;
    this.bytes -= sizeOf(entry);
    const key = keyOf(entry.id);
    const position = this.#first + i;
    if (this.#positions.get(key) !== position) return;
    this.#positions.delete(key);
    this.#consumedIds.set(key, this.#slotAt(position));
    if (this.#consumedIds.size <= this.#consumedIdsMax) return;
    const [oldest] = this.#consumedIds.keys();
    this.#consumedIds.delete(oldest!);
  }

  #compact(): void {
    if (this.#head < COMPACT_AT && this.#head < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#head);
    this.#first += this.#head;
    this.#head = 0;
  }
}

function keyOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length).toString("latin1");
}

function sizeOf(entry: BacklogEntry): number {
  return entry.id.length + entry.payload.length;
}

function asVoid(entry: BacklogEntry): BacklogEntry {
  return { id: entry.id, payload: new Uint8Array(0), isVoid: true };
}
