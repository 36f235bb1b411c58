/**
 * The keys in memory. A key that nobody works on is a block of bytes outside of the collector's heap
 * (cells.ts), found by an index that makes no objects; one that is asked for becomes an Entry, and is
 * packed again a little later. Of a hundred thousand keys a few hundred are objects at a time, and die
 * young; as objects that live for seconds and are then replaced they would be the worst case of a
 * generational collector.
 *
 *   block: register key | encoded StoredRegister
 *
 * Keys that the state engine holds as they are, the clean ones, are bounded in bytes and leave least
 * recently used first (second chance). Those that are newer stay until a checkpoint has written them,
 * and checkpoints bound them.
 */
import type { Key } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Writer } from "../../svrkit/codec.ts";
import { murmur3 } from "../../svrkit/murmur3.ts";
import type { Register } from "../protocol/register.ts";
import { Cells } from "./cells.ts";
import { Entry } from "./entry.ts";
import { KeyIndex } from "./key-index.ts";
import { KEY_AT, registerKey } from "./record.ts";
import {
  decodeRegister,
  encodeRegisterInto,
  viewRegister,
  withUnswept,
} from "./stored-register.ts";
import { TableRows } from "./table-rows.ts";

/** Memory of a key besides its block: columns, index, what blocks waste. */
export const KEY_BYTES = 128;
/** So many keys, or bytes, become objects before those of the time before are packed again. */
const WARM_MAX = 256;
const WARM_BYTES_MAX = 4 * 1024 * 1024;
/** Looked at for each key that comes, to find those that leave. */
const EVICT_LOOKS = 16;
const FIRST_IDS = 1_024;

const VACANT = 0;
/** As the state engine has it: may leave. */
const CLEAN = 1;
/** Newer than the engine's. */
const DIRTY = 2;
/** A checkpoint is writing it, and it has not changed since. */
const LEAVING = 3;

/** In place of an entry's number. */
export const NOT_KEPT = -1;

const scratch = new Writer(4_096);

/** What the state engine has of a key. */
export interface Stored {
  readonly register: Register;
  readonly unswept: boolean;
  /** The register's StoredRegister, without the mark; may be empty for the empty register. */
  readonly encoded: Uint8Array;
}

export class Shelf {
  readonly #cleanBytesMax: number;
  readonly #cells = new Cells();
  readonly #index = new KeyIndex<Key>((id, key) => this.#isKey(id, key));
  /** By id: the key's block; 0 while it is new and an object. */
  #cell = new Int32Array(FIRST_IDS);
  #state = new Uint8Array(FIRST_IDS);
  /** By id: asked for since the hand passed it. */
  #used = new Uint8Array(FIRST_IDS);
  #unswept = new Uint8Array(FIRST_IDS);
  #logged = new Float64Array(FIRST_IDS);
  #unloggedVersion = new Float64Array(FIRST_IDS);
  #unloggedDigest = new Float64Array(FIRST_IDS);
  /** By id: the key as an object. */
  readonly #objects: (Entry | undefined)[] = [];
  /** By id, of tables that have rows newer than the engine's. */
  readonly #rows = new Map<number, TableRows>();
  readonly #vacantIds: number[] = [];
  #ids = 0;
  #cleanBytes = 0;
  #hand = 0;
  #warm: Entry[] = [];
  #warmBytes = 0;
  #warmBefore: Entry[] = [];
  #coolsSoon = false;

  constructor(cleanBytesMax: number) {
    this.#cleanBytesMax = cleanBytesMax;
  }

  /** Memory of keys that may leave. */
  get cleanBytes(): number {
    return this.#cleanBytes;
  }

  get size(): number {
    return this.#index.size;
  }

  /** The key's entry, if the key is here. */
  get(key: Key): Entry | undefined {
    const id = this.#index.find(hashOf(key), key);
    if (id < 0) return undefined;
    this.#used[id] = 1;
    return this.entryOf(id);
  }

  /** Adds a key that is not here, as the engine has it. */
  add(key: Key, stored: Stored): Entry {
    const id = this.#vacantIds.pop() ?? this.#newId();
    const entry = new Entry(id, registerKey(key), stored.register);
    entry.unswept = stored.unswept;
    entry.packed = stored.register;
    this.#index.add(hashOf(key), id);
    this.#state[id] = CLEAN;
    this.#used[id] = 0;
    this.#cell[id] = this.#cells.put(Buffer.concat([entry.registerKey, stored.encoded]));
    this.#cleanBytes += this.#weigh(id);
    this.#becomeObject(entry);
    this.#evict(EVICT_LOOKS);
    return entry;
  }

  /** The object of a key that is here. */
  entryOf(id: number): Entry {
    const there = this.#objects[id];
    if (there !== undefined) return there;
    const { own, encoded } = this.#block(id);
    const entry = new Entry(id, Buffer.from(own), decodeRegister(encoded).register);
    entry.packed = entry.register;
    entry.rows = this.#rows.get(id);
    entry.logged = this.#logged[id]!;
    entry.unloggedVersion = this.#unloggedVersion[id]!;
    entry.unloggedDigest = this.#unloggedDigest[id]!;
    entry.unswept = this.#unswept[id] === 1;
    this.#becomeObject(entry);
    return entry;
  }

  /** What is held of a key that is here, without making it an object to be kept. */
  look(id: number): { registerKey: Buffer; register: Register } {
    const there = this.#objects[id];
    if (there !== undefined) return there;
    const { own, encoded } = split(Buffer.from(this.#cells.view(this.#cell[id]!)));
    return { registerKey: own, register: viewRegister(encoded).register };
  }

  /** The key's entry to be looked at within this turn and not kept, if the key is here. */
  peek(key: Key): Entry | undefined {
    const id = this.#index.find(hashOf(key), key);
    if (id < 0) return undefined;
    if (this.#objects[id] !== undefined || this.#rows.has(id)) return this.entryOf(id);
    const { registerKey, register } = this.look(id);
    return new Entry(NOT_KEPT, registerKey, register);
  }

  hasRows(id: number): boolean {
    return this.#rows.has(id);
  }

  /** Where a table's rows wait for the engine. */
  rowsOf(entry: Entry): TableRows {
    if (entry.rows === undefined) {
      entry.rows = new TableRows();
      this.#rows.set(entry.id, entry.rows);
    }
    return entry.rows;
  }

  /** The key as the state engine keeps it; `encoded` is valid in this turn only. */
  stored(id: number): { registerKey: Buffer; encoded: Uint8Array } {
    const there = this.#objects[id];
    if (there !== undefined) this.#pack(there);
    const { own, encoded } = this.#block(id);
    const isUnswept = there?.unswept ?? this.#unswept[id] === 1;
    return { registerKey: Buffer.from(own), encoded: isUnswept ? withUnswept(encoded) : encoded };
  }

  /** Memory of the key's block as it is now. */
  bytesOf(id: number): number {
    const there = this.#objects[id];
    if (there !== undefined) this.#pack(there);
    return this.#cells.sizeOf(this.#cell[id]!);
  }

  /** The key is newer than the engine's from now on; true when it was not before. */
  becomeDirty(id: number): boolean {
    const before = this.#state[id]!;
    this.#state[id] = DIRTY;
    if (before === CLEAN) this.#cleanBytes -= this.#weigh(id);
    return before !== DIRTY;
  }

  /** A checkpoint writes the key as it is now. */
  becomeLeaving(id: number): void {
    this.#state[id] = LEAVING;
  }

  /** It is here, and newer than the engine's. */
  isNewer(id: number): boolean {
    return this.#state[id] === DIRTY || this.#state[id] === LEAVING;
  }

  isLeaving(id: number): boolean {
    return this.#state[id] === LEAVING;
  }

  /** The engine has the key as it was when it began to leave: unless it has changed since, it may go. */
  becomeClean(id: number): void {
    if (this.#state[id] !== LEAVING) return;
    this.#state[id] = CLEAN;
    if (this.#rows.get(id)?.isEmpty === true) {
      this.#rows.delete(id);
      const there = this.#objects[id];
      if (there !== undefined) there.rows = undefined;
    }
    this.#cleanBytes += this.#weigh(id);
    this.#evict(EVICT_LOOKS);
  }

  /** Forgets those that pass; false, and nothing is forgotten, when one of them is in use. */
  drop(isGone: (registerKey: Buffer) => boolean): boolean {
    const gone: number[] = [];
    for (let id = 0; id < this.#ids; id++) {
      if (this.#state[id] !== VACANT && isGone(this.#block(id).own)) gone.push(id);
    }
    const isBusy = (id: number) =>
      this.#state[id] !== CLEAN || (this.#objects[id] !== undefined && isInUse(this.#objects[id]));
    if (gone.some(isBusy)) return false;
    for (const id of gone) this.#remove(id);
    return true;
  }

  get #isWarm(): boolean {
    return this.#warm.length >= WARM_MAX || this.#warmBytes >= WARM_BYTES_MAX;
  }

  /** Packs the keys that nobody has worked on for a while. */
  cool(): void {
    const before = this.#warmBefore;
    this.#warmBefore = this.#warm;
    this.#warmBytes = 0;
    this.#warm = before.filter((entry) => {
      if (isInUse(entry)) return true;
      if (!entry.isOver) this.#putAway(entry);
      return false;
    });
    // Objects could not leave before.
    this.#evict(before.length * EVICT_LOOKS);
  }

  #becomeObject(entry: Entry): void {
    this.#objects[entry.id] = entry;
    this.#warm.push(entry);
    this.#warmBytes += this.#cells.sizeOf(this.#cell[entry.id]!);
    if (!this.#isWarm || this.#coolsSoon) return;
    this.#coolsSoon = true;
    // Not in this turn: who has an entry in hand goes on with it.
    setImmediate(() => {
      this.#coolsSoon = false;
      this.cool();
    });
  }

  #putAway(entry: Entry): void {
    const { id } = entry;
    this.#pack(entry);
    this.#logged[id] = entry.logged;
    this.#unloggedVersion[id] = entry.unloggedVersion;
    this.#unloggedDigest[id] = entry.unloggedDigest;
    this.#unswept[id] = entry.unswept ? 1 : 0;
    this.#objects[id] = undefined;
    entry.isOver = true;
  }

  /** Makes the key's block say what its object says. */
  #pack(entry: Entry): void {
    if (entry.packed === entry.register) return;
    const { id } = entry;
    const isClean = this.#state[id] === CLEAN;
    if (isClean) this.#cleanBytes -= this.#weigh(id);
    scratch.pos = 0;
    scratch.raw(entry.registerKey);
    encodeRegisterInto(scratch, entry.register, false);
    const block = scratch.buffer.subarray(0, scratch.pos);
    this.#cell[id] = this.#cells.replace(this.#cell[id]!, block);
    if (isClean) this.#cleanBytes += this.#weigh(id);
    entry.packed = entry.register;
  }

  /** Views into a key's block. */
  #block(id: number): { own: Buffer; encoded: Buffer } {
    return split(this.#cells.view(this.#cell[id]!));
  }

  #isKey(id: number, { keyspace, key }: Key): boolean {
    const cell = this.#cell[id]!;
    const buffer = this.#cells.bufferOf(cell);
    const at = this.#cells.startOf(cell);
    if (buffer[at] !== keyspace || buffer[at + KEY_AT - 1] !== key.length) return false;
    for (let i = 0; i < key.length; i++) if (buffer[at + KEY_AT + i] !== key[i]) return false;
    return true;
  }

  #weigh(id: number): number {
    return KEY_BYTES + this.#cells.sizeOf(this.#cell[id]!);
  }

  #evict(most: number): void {
    for (let looked = 0; looked < most; looked++) {
      if (this.#cleanBytes <= this.#cleanBytesMax) return;
      const id = this.#hand;
      this.#hand = (id + 1) % this.#ids;
      if (this.#state[id] !== CLEAN || this.#objects[id] !== undefined) continue;
      if (this.#used[id] === 1) this.#used[id] = 0;
      else this.#remove(id);
    }
  }

  /** A clean key leaves memory. */
  #remove(id: number): void {
    this.#cleanBytes -= this.#weigh(id);
    const there = this.#objects[id];
    if (there !== undefined) there.isOver = true;
    const { own } = this.#block(id);
    this.#index.remove(murmur3(own.subarray(KEY_AT), own[0]!), id);
    this.#cells.free(this.#cell[id]!);
    this.#cell[id] = 0;
    this.#state[id] = VACANT;
    this.#logged[id] = 0;
    this.#unloggedVersion[id] = 0;
    this.#objects[id] = undefined;
    this.#rows.delete(id);
    this.#vacantIds.push(id);
  }

  #newId(): number {
    const id = this.#ids++;
    if (id === this.#cell.length) this.#grow();
    this.#objects.push(undefined);
    return id;
  }

  #grow(): void {
    const size = this.#cell.length * 2;
    const grown = <T extends Int32Array | Uint8Array | Float64Array>(old: T, wider: T): T => {
      wider.set(old);
      return wider;
    };
    this.#cell = grown(this.#cell, new Int32Array(size));
    this.#state = grown(this.#state, new Uint8Array(size));
    this.#used = grown(this.#used, new Uint8Array(size));
    this.#unswept = grown(this.#unswept, new Uint8Array(size));
    this.#logged = grown(this.#logged, new Float64Array(size));
    this.#unloggedVersion = grown(this.#unloggedVersion, new Float64Array(size));
    this.#unloggedDigest = grown(this.#unloggedDigest, new Float64Array(size));
  }
}

function split(block: Buffer): { own: Buffer; encoded: Buffer } {
  const end = KEY_AT + block[KEY_AT - 1]!;
  return { own: block.subarray(0, end), encoded: block.subarray(end) };
}

function hashOf({ keyspace, key }: Key): number {
  return murmur3(key, keyspace);
}

function isInUse(entry: Entry): boolean {
  return entry.pins > 0 || entry.queue !== undefined;
}
