/**
 * The log records of earlier runs, taken in by the key that is asked for. Registers are independent of
 * each other, so only the order of one key's records matters: a start finds out whose each record is, which
 * takes a tenth of the time, and serves. Who asks for a key waits for the records that share its bucket, a
 * few; all others follow in short turns, slot by slot, which is the state engine's order.
 *
 *   log (read once, and checked) -> buckets of positions -> asked for, or its turn -> read again, taken in, once
 *
 * Of a record its position is in memory, and its checksum, for it may be read from the disk again: a start needs
 * as much memory for a long log as for a short one, but for 20 bytes a record and what a checkpoint has yet to write.
 *
 * Until all are taken in no checkpoint may be written: it would remove what the log alone has. When much is
 * taken in it is written to the state engine before, and the log stays.
 */
import { crc32 } from "node:zlib";
import type { Key } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import { SLOTS } from "../../svrkit/failover/shards.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { murmur3 } from "../../svrkit/murmur3.ts";
import { rest } from "../../svrkit/rest.ts";
import { REPLAY_DELAY_MS, REPLAY_TURN_MS, REPLAY_TURN_RECORDS } from "../limits.ts";
import { NO_LIMIT } from "./dirty.ts";
import type { LogFile } from "./files.ts";
import { LogDamaged, type ReadGroup } from "./log-segment.ts";
import { groupsOf } from "./slot-removal.ts";
import { keyOfRecord } from "./stored-register.ts";

/** Buckets of a slot: with a million records in one keyspace, sixteen share one. */
const PARTS = 16;
const BUCKETS = SLOTS * PARTS;
const FIRST_RECORDS = 1_024;
const WORDS = 5;
const POSITION = 1;
const LENGTH = 2;
const NEXT = 3;
const CHECKSUM = 4;

const unreplayed = monitorId("kvsvr.unreplayed");

/** By bucket: number + 1 of its first and of its last record; 0: there is none. */
interface Chains {
  readonly first: Int32Array;
  readonly last: Int32Array;
}

type RecordFile = Pick<LogFile, "readNow">;
type RecordGroup = Omit<ReadGroup, "file"> & { readonly file: RecordFile };

interface ReplayParts {
  /** Takes in one record, the next of its key; what it throws ends the process. */
  readonly take: (payload: Buffer) => void;
  /** So much is taken in, or new, that it is time for a checkpoint. */
  readonly isPressed: () => boolean;
  /** Writes it to the state engine, so that it can leave memory. */
  readonly relieve: () => Promise<void>;
  readonly fatal: (error: Error) => void;
}

export class Replay {
  readonly #parts: ReplayParts;
  readonly #byKeyspace = new Map<number, Chains>();
  #files: RecordFile[] = [];
  /** Of each record its file, where it begins there, its length, number + 1 of the next in its bucket, crc32. */
  #words = new Uint32Array(FIRST_RECORDS * WORDS);
  #count = 0;
  #left = 0;
  #stopped = false;
  /** Why records cannot be taken in: what is asked for from then on would lack them. */
  #failure: Error | undefined;

  constructor(parts: ReplayParts) {
    this.#parts = parts;
  }

  /** Records that are not taken in yet. */
  get left(): number {
    return this.#left;
  }

  /** The next record of the log; throws CodecError when it names no key. */
  add({ file, position, bytes }: RecordGroup, start: number, end: number): void {
    const { keyspace, key } = keyOfRecord(bytes, start, end);
    if (this.#files.at(-1) !== file) this.#files.push(file);
    const at = this.#count * WORDS;
    if (at === this.#words.length) this.#grow();
    this.#words[at] = this.#files.length - 1;
    this.#words[at + POSITION] = position + start;
    this.#words[at + LENGTH] = end - start;
    this.#words[at + CHECKSUM] = crc32(bytes.subarray(start, end));
    this.#count += 1;
    this.#left += 1;
    const { first, last } = this.#chainsOf(keyspace);
    const bucket = bucketOf(key);
    const before = last[bucket]!;
    if (before === 0) first[bucket] = this.#count;
    else this.#words[(before - 1) * WORDS + NEXT] = this.#count;
    last[bucket] = this.#count;
  }

  #grow(): void {
    const words = new Uint32Array(this.#words.length * 2);
    words.set(this.#words);
    this.#words = words;
  }

  /** Takes in what there is of the key, with what shares its bucket. */
  ofKey({ keyspace, key }: Key): void {
    if (this.#left === 0) return;
    if (this.#failure !== undefined) throw this.#failure;
    const chains = this.#byKeyspace.get(keyspace);
    if (chains !== undefined) this.#takeBucket(chains, bucketOf(key));
  }

  /**
   * Takes in records of the slots from `first` to `last` (slotGroup), slot by slot, until there were `most`
   * or, after the first ones, a turn's time is over; returns the slot to go on with, or undefined when none
   * of them has any left.
   */
  ofSlots(first: number, last: number, most = REPLAY_TURN_RECORDS): number | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    const startedMs = monotonicMs();
    const before = this.#left;
    const isOver = () => this.#left < before && monotonicMs() - startedMs >= REPLAY_TURN_MS;
    const keyspaces = [...this.#byKeyspace.keys()].sort((a, b) => a - b);
    for (const keyspace of keyspaces) {
      const chains = this.#byKeyspace.get(keyspace)!;
      const [from, through] = groupsOf({ keyspace, first: 0, last: SLOTS - 1 });
      for (let group = Math.max(first, from); group <= Math.min(last, through); group++) {
        if (this.#left === 0) return undefined;
        if (before - this.#left >= most || isOver()) return group;
        const bucket = (group - from) * PARTS;
        for (let part = 0; part < PARTS; part++) this.#takeBucket(chains, bucket + part);
      }
    }
    return undefined;
  }

  /**
   * Takes in all of these slots in turns, resting as long as each took, or for one turn of others when it is
   * pressed. False: it was stopped before.
   */
  async within(first: number, last: number): Promise<boolean> {
    let next: number | undefined = first;
    while (this.#left > 0 && !this.#stopped) {
      const startedMs = monotonicMs();
      next = this.ofSlots(next, last);
      if (next === undefined) return true;
      // A turn that had to wait for a CPU itself owes others no more than that.
      const restMs = Math.min(REPLAY_TURN_MS, monotonicMs() - startedMs);
      monitor.set(unreplayed, this.#left);
      const isPressed = this.#parts.isPressed();
      if (isPressed) await this.#parts.relieve();
      await rest(isPressed ? 0 : restMs);
    }
    return this.#left === 0;
  }

  /** The same of all slots, a moment later: who has waited for the start goes first. */
  async toTheEnd(): Promise<boolean> {
    monitor.set(unreplayed, this.#left);
    if (this.#left > 0) await rest(REPLAY_DELAY_MS);
    return await this.within(0, NO_LIMIT);
  }

  /** Nothing more is taken in unasked. */
  stop(): void {
    this.#stopped = true;
  }

  /** The log's files are closed next: who still asks for a key of which something is left is told `why`. */
  close(why: Error): void {
    if (this.#left > 0) this.#failure ??= why;
  }

  #takeBucket(chains: Chains, bucket: number): void {
    const words = this.#words;
    let number = chains.first[bucket]!;
    // Before they are taken in: that asks for their keys.
    chains.first[bucket] = 0;
    for (let at = 0; number > 0; number = words[at + NEXT]!) {
      at = (number - 1) * WORDS;
      try {
        this.#parts.take(this.#read(at));
      } catch (error) {
        this.#failure = error instanceof Error ? error : new Error(String(error));
        this.#parts.fatal(this.#failure);
        throw this.#failure;
      }
      this.#left -= 1;
    }
    if (this.#left === 0) this.#forgetAll();
  }

  /** A record once more; what is not as it was at first was damaged since. */
  #read(at: number): Buffer {
    const words = this.#words;
    const bytes = Buffer.allocUnsafe(words[at + LENGTH]!);
    const position = words[at + POSITION]!;
    const read = this.#files[words[at]!]!.readNow(bytes, position);
    if (read === bytes.length && crc32(bytes) === words[at + CHECKSUM]) return bytes;
    throw new LogDamaged(`a record of the log, at byte ${position}, is not as it was at the start`);
  }

  /** Files and positions are that nobody needs any more. */
  #forgetAll(): void {
    this.#files = [];
    this.#byKeyspace.clear();
    this.#words = new Uint32Array(0);
    monitor.set(unreplayed, 0);
  }

  #chainsOf(keyspace: number): Chains {
    const there = this.#byKeyspace.get(keyspace);
    if (there !== undefined) return there;
    const made = { first: new Int32Array(BUCKETS), last: new Int32Array(BUCKETS) };
    this.#byKeyspace.set(keyspace, made);
    return made;
  }
}

/** The buckets of a slot lie side by side. */
function bucketOf(key: Uint8Array): number {
  const hash = murmur3(key);
  return (hash % SLOTS) * PARTS + (Math.floor(hash / SLOTS) % PARTS);
}
