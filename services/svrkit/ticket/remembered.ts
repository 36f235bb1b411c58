/**
 * Tickets that were verified, so that a signature is checked once and not at every call. What is compared
 * is always the whole ticket, byte by byte: one changed byte is never taken for a known ticket.
 *
 * Two levels. A few thousand are kept as what they say, ready to use. Many more are kept as the bare bytes
 * of the ticket in one buffer, no object each, which costs the collector nothing: there it has to be
 * decoded again, which takes a fraction of a microsecond where checking the signature takes sixty. Both are
 * found by four bytes of the signature, which are as good as random, and a stranger cannot crowd anybody
 * out: only what was verified gets in.
 */
import assert from "node:assert/strict";

const SIGNATURE_AT = 1;
/** Bytes of a ticket in the large level; longer ones are not kept there. */
const SLOT_BYTES = 254;
const LENGTH_BYTES = 2;
const SLOT_SIZE = SLOT_BYTES + LENGTH_BYTES;
/** Tells a slot with a ticket from an empty one, beside the 30 bits of a name. */
const TAKEN = 1 << 30;
/** A ticket may lie in any of so many slots that follow each other. */
const WAYS = 8;
/** Of the tickets found as bytes every so many-th gets ready: often used ones soon, others hardly ever. */
const READY_EVERY = 16;

interface Ready<T> {
  readonly ticket: Buffer;
  readonly facts: T;
}

export class RememberedTickets<T> {
  readonly #ready = new Map<number, Ready<T>>();
  readonly #readyMax: number;
  readonly #slots: number;
  #bytes: Buffer | undefined;
  /**
   * By slot: TAKEN and the name of the ticket there; 0: nothing. Those of the slots in which a ticket may lie
   * are next to each other, so that looking for it does not fetch eight tickets from memory.
   */
  #names: Uint32Array | undefined;
  /** Counts finds: whose turn it is to get ready, and to go where all slots are taken. */
  #turn = 0;

  /** `ready`: tickets kept as facts; `slots`: as bytes, 256 each, taken from memory when first used. */
  constructor({ ready, slots }: { ready: number; slots: number }) {
    assert(slots % WAYS === 0);
    this.#readyMax = ready;
    this.#slots = slots;
  }

  /** What the ticket says; undefined: it is not known to be verified. `decode` reads a verified one. */
  find(ticket: Uint8Array, decode: (ticket: Uint8Array) => T): T | undefined {
    const name = nameOf(ticket);
    const found = this.#ready.get(name);
    if (found !== undefined && isSame(ticket, found.ticket, 0, found.ticket.length))
      return found.facts;
    if (this.#bytes === undefined || this.#slotOf(ticket, name) < 0) return undefined;
    const facts = decode(ticket);
    if (this.#turn % READY_EVERY === 0) this.#makeReady(name, ticket, facts);
    return facts;
  }

  add(ticket: Uint8Array, facts: T): void {
    const name = nameOf(ticket);
    this.#makeReady(name, ticket, facts);
    if (this.#slots === 0 || ticket.length > SLOT_BYTES) return;
    this.#bytes ??= Buffer.alloc(this.#slots * SLOT_SIZE);
    this.#names ??= new Uint32Array(this.#slots);
    const found = this.#slotOf(ticket, name);
    if (found >= 0) return;
    const slot = ~found;
    this.#names[slot] = TAKEN | name;
    this.#bytes.writeUInt16LE(ticket.length, slot * SLOT_SIZE);
    this.#bytes.set(ticket, slot * SLOT_SIZE + LENGTH_BYTES);
  }

  clear(): void {
    this.#ready.clear();
    this.#bytes = undefined;
    this.#names = undefined;
  }

  #makeReady(name: number, ticket: Uint8Array, facts: T): void {
    if (this.#ready.size >= this.#readyMax && !this.#ready.has(name)) {
      const oldest = this.#ready.keys().next();
      if (!oldest.done) this.#ready.delete(oldest.value);
    }
    this.#ready.set(name, { ticket: Buffer.from(ticket), facts });
  }

  /** In which slot the ticket lies; negative: in none, and it may be put into the complement of that. */
  #slotOf(ticket: Uint8Array, name: number): number {
    const bytes = this.#bytes!;
    const names = this.#names!;
    const first = (name % this.#slots) & -WAYS;
    const wanted = (TAKEN | name) >>> 0;
    this.#turn = (this.#turn + 1) | 0;
    let free = first + (this.#turn & (WAYS - 1));
    for (let slot = first + WAYS - 1; slot >= first; slot--) {
      const there = names[slot]!;
      if (there === 0) free = slot;
      else if (there === wanted) {
        const at = slot * SLOT_SIZE;
        const length = bytes[at]! | (bytes[at + 1]! << 8);
        if (isSame(ticket, bytes, at + LENGTH_BYTES, length)) return slot;
      }
    }
    return ~free;
  }
}

/** 30 bits of the signature: numbers that need no object. */
function nameOf(ticket: Uint8Array): number {
  const at = SIGNATURE_AT;
  const high = (ticket[at]! << 22) | (ticket[at + 1]! << 14);
  return high | (ticket[at + 2]! << 6) | (ticket[at + 3]! >> 2);
}

/** Compared from the front, where the signature is: tickets of one slot differ at once. */
function isSame(ticket: Uint8Array, bytes: Buffer, at: number, length: number): boolean {
  if (ticket.length !== length) return false;
  for (let i = 0; i < length; i++) if (ticket[i] !== bytes[at + i]) return false;
  return true;
}
