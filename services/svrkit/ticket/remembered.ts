/**
 * Tickets that were verified, so that a signature is checked once and not at every call. What is compared
 * is always the whole ticket, byte by byte: one changed byte is never taken for a known ticket.
 *
 * All are kept as bare bytes, one behind the other in one buffer as they came: no object each, which costs
 * the collector nothing, and no more pages of memory than there are tickets for. There a ticket has to be
 * decoded again, which takes a fraction of a microsecond where checking the signature takes sixty; a few
 * thousand are kept as what they say, too. They are found by four bytes of the signature, which are as
 * good as random, and a stranger cannot crowd anybody out: only what was verified gets in.
 *
 * With tickets by the ten thousand hardly anything of this is in the processor's cache, so what a find
 * costs is mostly the lines that it fetches: one of the index, and those of the ticket. A map of facts in
 * front would only add its own.
 */
import assert from "node:assert/strict";

const SIGNATURE_AT = 1;
/** A place: two bytes of length, two that say where its facts are, and the ticket. */
const PLACE_BYTES = 256;
const HEAD_BYTES = 4;
/** Longer tickets are not kept. */
const TICKET_BYTES_MAX = PLACE_BYTES - HEAD_BYTES;
/** Facts are numbered in two bytes, from 1. */
const READY_MAX = 0xffff;
/** Tells an entry with a ticket from an empty one, beside the 30 bits of a name. */
const TAKEN = 1 << 30;
/** A ticket is told by any of so many entries that follow each other, 64 bytes together. */
const WAYS = 8;
/** A name, and the place. */
const ENTRY_WORDS = 2;
/** Of the tickets found as bytes every so many-th gets ready: often used ones soon, others hardly ever. */
const READY_EVERY = 16;

export class RememberedTickets<T> {
  readonly #readyMax: number;
  readonly #slots: number;
  /** By place, and by entry: taken from memory when first used. */
  #bytes: Buffer | undefined;
  #index: Uint32Array = new Uint32Array(0);
  /** The place that is taken next; the oldest ticket lies there once all are taken. */
  #nextPlace = 0;
  /** By number: facts, and the place of their ticket; the oldest make room. */
  readonly #facts: T[] = [];
  readonly #factsOf: number[] = [];
  #nextFacts = 0;
  #finds = 0;

  /** `ready`: tickets kept as facts, too; `slots`: all, 256 bytes each. */
  constructor({ ready, slots }: { ready: number; slots: number }) {
    assert(slots % WAYS === 0 && ready > 0 && ready <= READY_MAX);
    this.#readyMax = ready;
    this.#slots = slots;
  }

  /** What the ticket says; undefined: it is not known to be verified. `decode` reads a verified one. */
  find(ticket: Uint8Array, decode: (ticket: Uint8Array) => T): T | undefined {
    const bytes = this.#bytes;
    if (bytes === undefined) return undefined;
    const place = this.#placeOf(bytes, ticket);
    if (place < 0) return undefined;
    const at = place * PLACE_BYTES + 2;
    const number = (bytes[at]! | (bytes[at + 1]! << 8)) - 1;
    // The place may have a new ticket, and the number may be another place's by now.
    if (number >= 0 && this.#factsOf[number] === place) return this.#facts[number];
    const facts = decode(ticket);
    this.#finds = (this.#finds + 1) | 0;
    if (this.#finds % READY_EVERY === 0) this.#makeReady(bytes, place, facts);
    return facts;
  }

  add(ticket: Uint8Array, facts: T): void {
    if (ticket.length > TICKET_BYTES_MAX) return;
    if (this.#bytes === undefined) {
      this.#bytes = Buffer.alloc(this.#slots * PLACE_BYTES);
      this.#index = new Uint32Array(this.#slots * ENTRY_WORDS);
    }
    const bytes = this.#bytes;
    let place = this.#placeOf(bytes, ticket);
    if (place < 0) {
      place = this.#nextPlace;
      this.#nextPlace = (place + 1) % this.#slots;
      this.#put(bytes, ticket, place);
    }
    this.#makeReady(bytes, place, facts);
  }

  clear(): void {
    this.#bytes = undefined;
    this.#nextPlace = 0;
    this.#facts.length = 0;
    this.#factsOf.length = 0;
    this.#nextFacts = 0;
  }

  /** Writes a ticket over what was there, and what tells of it over what told of that. */
  #put(bytes: Buffer, ticket: Uint8Array, place: number): void {
    const at = place * PLACE_BYTES;
    if (bytes.readUInt16LE(at) > 0) this.#forget(nameOf(bytes, at + HEAD_BYTES), place);
    bytes.writeUInt16LE(ticket.length, at);
    bytes.writeUInt16LE(0, at + 2);
    bytes.set(ticket, at + HEAD_BYTES);
    const index = this.#index;
    const name = nameOf(ticket, 0);
    const first = this.#entryOf(name);
    // Where all are taken one of them goes: the place's number is as good as chance.
    let entry = first + ENTRY_WORDS * (place % WAYS);
    for (let i = 0; i < WAYS; i++)
      if (index[first + ENTRY_WORDS * i] === 0) entry = first + ENTRY_WORDS * i;
    index[entry] = TAKEN | name;
    index[entry + 1] = place;
  }

  #forget(name: number, place: number): void {
    const index = this.#index;
    const first = this.#entryOf(name);
    for (let entry = first; entry < first + ENTRY_WORDS * WAYS; entry += ENTRY_WORDS)
      if (index[entry] === (TAKEN | name) && index[entry + 1] === place) index[entry] = 0;
  }

  #makeReady(bytes: Buffer, place: number, facts: T): void {
    const number = this.#nextFacts;
    this.#nextFacts = (number + 1) % this.#readyMax;
    this.#facts[number] = facts;
    this.#factsOf[number] = place;
    bytes.writeUInt16LE(number + 1, place * PLACE_BYTES + 2);
  }

  #entryOf(name: number): number {
    return ENTRY_WORDS * ((name % this.#slots) & -WAYS);
  }

  /** Where the ticket lies; negative: nowhere. */
  #placeOf(bytes: Buffer, ticket: Uint8Array): number {
    const name = nameOf(ticket, 0);
    const index = this.#index;
    const wanted = TAKEN | name;
    const first = this.#entryOf(name);
    for (let entry = first; entry < first + ENTRY_WORDS * WAYS; entry += ENTRY_WORDS) {
      if (index[entry] !== wanted) continue;
      const place = index[entry + 1]!;
      const at = place * PLACE_BYTES;
      const length = bytes[at]! | (bytes[at + 1]! << 8);
      if (isSame(ticket, bytes, at + HEAD_BYTES, length)) return place;
    }
    return -1;
  }
}

/** 30 bits of the signature: numbers that need no object. */
function nameOf(bytes: Uint8Array, ticketAt: number): number {
  const at = ticketAt + SIGNATURE_AT;
  const high = (bytes[at]! << 22) | (bytes[at + 1]! << 14);
  return high | (bytes[at + 2]! << 6) | (bytes[at + 3]! >> 2);
}

/** Compared from the front, where the signature is: tickets of one name differ at once. */
function isSame(ticket: Uint8Array, bytes: Buffer, at: number, length: number): boolean {
  if (ticket.length !== length) return false;
  for (let i = 0; i < length; i++) if (ticket[i] !== bytes[at + i]) return false;
  return true;
}
