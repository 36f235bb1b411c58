/**
 * The entries in memory. Those that the state engine holds as they are, the clean ones, are bounded in
 * bytes and leave least recently used first (second chance). Those that are newer than the engine's are
 * no part of that: they stay until a checkpoint has written them, and checkpoints bound them. They must
 * not be passed over one by one in search of something to evict either, for at times they are most.
 */
import type { Register } from "../protocol/register.ts";
import type { Entry } from "./state.ts";

/** Memory of an entry besides its values, estimated. */
export const ENTRY_BYTES = 600;
/** Of another decision that a register holds, besides its bytes. */
const DECISION_BYTES = 200;
/** Looked at in one turn to find those that leave; what is over the bound then waits for the next. */
const EVICT_LOOKS = 64;

/** What an entry of this register takes of memory, its rows apart. */
export function memoryOf({ held, accepted, loose }: Register): number {
  let bytes = ENTRY_BYTES;
  if (held.model === "key") bytes += held.decision.bytes.length;
  if (held.model === "table") bytes += held.operations.kept.length;
  if (accepted !== undefined) bytes += DECISION_BYTES + accepted.decision.bytes.length;
  for (const decision of loose) bytes += DECISION_BYTES + decision.bytes.length;
  return bytes;
}

export class Entries {
  readonly #cleanBytesMax: number;
  readonly #byName = new Map<string, Entry>();
  /** Least recently used first. */
  readonly #clean = new Set<Entry>();
  /**
   * Stands before the least recently used. Kept, for a set that is asked anew for its first member passes
   * over everything that ever left at its beginning.
   */
  #oldest = this.#clean.values();
  #cleanBytes = 0;

  constructor(cleanBytesMax: number) {
    this.#cleanBytesMax = cleanBytesMax;
  }

  get(name: string): Entry | undefined {
    return this.#byName.get(name);
  }

  /** Of those that may leave. */
  get cleanBytes(): number {
    return this.#cleanBytes;
  }

  /** Adds one as the engine has it. */
  add(entry: Entry): void {
    this.#byName.set(entry.name, entry);
    this.#addClean(entry);
  }

  /** The entry is newer than the engine's from now on: it stays. */
  keep(entry: Entry): void {
    if (this.#clean.delete(entry)) this.#cleanBytes -= entry.bytes;
  }

  /** The engine has it: it may leave again, unless it has changed meanwhile. */
  release(entry: Entry): void {
    if (!entry.dirty && !this.#clean.has(entry)) this.#addClean(entry);
  }

  /** Forgets those that pass; false, and nothing is forgotten, when one of them is in use. */
  drop(isGone: (entry: Entry) => boolean): boolean {
    const gone = [...this.#byName.values()].filter(isGone);
    if (gone.some((entry) => entry.dirty || entry.pins > 0)) return false;
    for (const entry of gone) {
      this.#byName.delete(entry.name);
      this.keep(entry);
    }
    return true;
  }

  #addClean(entry: Entry): void {
    entry.bytes = memoryOf(entry.register);
    this.#clean.add(entry);
    this.#cleanBytes += entry.bytes;
    if (this.#cleanBytes > this.#cleanBytesMax) this.#evict(entry);
  }

  /** `newest` was just asked for. */
  #evict(newest: Entry): void {
    for (let looked = 0; looked < EVICT_LOOKS; looked++) {
      if (this.#cleanBytes <= this.#cleanBytesMax) return;
      const { value: entry, done } = this.#oldest.next();
      if (done === true) {
        this.#oldest = this.#clean.values();
        continue;
      }
      this.#clean.delete(entry);
      if (entry.used || entry.pins > 0 || entry === newest) {
        entry.used = false;
        this.#clean.add(entry);
        continue;
      }
      this.#byName.delete(entry.name);
      this.#cleanBytes -= entry.bytes;
    }
  }
}
