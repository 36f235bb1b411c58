/**
 * Entries that their consumers gave up, in one table of the store, by stream, slot and part: burying one
 * twice changes nothing, so a consumer that dies between burying and going on does no harm.
 *
 * The newest stay, for a time and up to so many bytes: `tidy` forgets the others. Who buries much calls it
 * before it buries more. Between two of them versions bound the number of letters, since each change of
 * the table makes at least one.
 */
import {
  type ChangeReply,
  Keyspace,
  Level,
  type RowOperation,
  type ScanRowsReply,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import {
  type DeadLetter,
  decodeDeadLetter,
  encodeDeadLetter,
} from "../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import type { KvClient } from "../kvsvr/client.ts";
import type { CallOptions } from "../svrkit/call.ts";
import { fromBytes, NO_BYTES, toBytes } from "../svrkit/codec.ts";
import { LETTERS_BYTES_MAX, LETTERS_KEPT_DAYS, LETTERS_PAGE_MAX } from "./limits.ts";
import { forgetThrough, inParts, type LetterRules, type LetterTrace } from "./protocol/letters.ts";
import { isStreamName } from "./protocol/segments.ts";

/** Changes of the table whose letters are kept, each of at most as many as CHANGE says. */
const KEPT_CHANGES = 10_000;
const CHANGE = { letters: 16, bytes: 256 * 1024 };
const FORGET_EVERY = 100;
const DAY_MS = 24 * 3_600_000;
/** After so many bytes buried by this process the table is tidied before it grows further. */
const TIDY_AFTER_BYTES = 8 * 1024 * 1024;
const KEY = { keyspace: Keyspace.CONTROL, key: Buffer.from("queue/dead-letters") };

/** Which letter: of these three its name is made, "hooks/17@204.0". */
export type LetterName = Pick<DeadLetter, "stream" | "slot" | "part">;

export interface LetterPage {
  readonly after?: LetterName | undefined;
  readonly limit: number;
  /** Only of streams whose names begin so; with a '#' at its end, of the one of this name. */
  readonly streamStart?: string;
}

/** For who buries. */
export interface DeadLettersOptions {
  readonly keepMs?: number;
  /** Of payloads. */
  readonly bytesMax?: number;
  readonly keptChanges?: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export class DeadLetters {
  readonly #kv: KvClient;
  readonly #rules: LetterRules;
  readonly #keptChanges: number;
  readonly #now: () => number;
  #buriedBytes = 0;

  constructor(kv: KvClient, options: DeadLettersOptions = {}) {
    const { keepMs = LETTERS_KEPT_DAYS * DAY_MS, bytesMax = LETTERS_BYTES_MAX } = options;
    this.#kv = kv;
    this.#rules = { keepMs, bytesMax };
    this.#keptChanges = options.keptChanges ?? KEPT_CHANGES;
    this.#now = options.now ?? Date.now;
  }

  /** Resolves when they are durable. */
  async bury(letters: readonly DeadLetter[], options: CallOptions): Promise<void> {
    const tidyAfter = Math.min(TIDY_AFTER_BYTES, this.#rules.bytesMax);
    for (const some of inParts(letters, CHANGE)) {
      if (this.#buriedBytes > tidyAfter) await this.tidy(options);
      for (const { payload } of some) this.#buriedBytes += payload.length;
      const operations = some.map((letter) => {
        const value = { row: rowOf(letter), value: toBytes(encodeDeadLetter, letter) };
        return { operation: { case: "insertIfAbsent" as const, value } };
      });
      const { version } = await this.#change(operations, options);
      if (version > this.#keptChanges && version % FORGET_EVERY === 0) {
        await this.#trim(version - this.#keptChanges, options);
      }
    }
  }

  /** Forgets what is too old, and of the rest the oldest that are too much. */
  async tidy(options: CallOptions): Promise<void> {
    this.#buriedBytes = 0;
    const traces: LetterTrace[] = [];
    for await (const { version, letter } of this.#rows("", options)) {
      const { payload, buriedAtMs } = letter;
      traces.push({ version, bytes: payload.length, buriedAtMs });
    }
    const through = forgetThrough(traces, this.#rules, this.#now());
    if (through > 0) await this.#trim(through, options);
  }

  /** One page in the order of streams and slots, those behind `after`; fewer when they are large. */
  async page(
    which: LetterPage,
    options: CallOptions = {},
  ): Promise<{ letters: DeadLetter[]; more: boolean }> {
    const { rows, more } = await this.#scan(which, options);
    return { letters: rows.map(({ value }) => fromBytes(decodeDeadLetter, value)), more };
  }

  /** All of them, page by page; those that are removed meanwhile do no harm. */
  async *all(streamStart = "", options: CallOptions = {}): AsyncGenerator<DeadLetter> {
    for await (const { letter } of this.#rows(streamStart, options)) yield letter;
  }

  async *#rows(
    streamStart: string,
    options: CallOptions,
  ): AsyncGenerator<{ version: number; letter: DeadLetter }> {
    let after: LetterName | undefined;
    for (let isMore = true; isMore; ) {
      const page = await this.#scan({ after, limit: LETTERS_PAGE_MAX, streamStart }, options);
      for (const { version, value } of page.rows) {
        const letter = fromBytes(decodeDeadLetter, value);
        after = letter;
        yield { version, letter };
      }
      isMore = page.more && page.rows.length > 0;
    }
  }

  #scan(
    { after, limit, streamStart = "" }: LetterPage,
    options: CallOptions,
  ): Promise<ScanRowsReply> {
    const start = Buffer.from(streamStart);
    const first = after === undefined ? start : Buffer.concat([rowOf(after), Buffer.of(0)]);
    // Stream names are text: no byte of UTF-8 is 0xff.
    const end = start.length === 0 ? NO_BYTES : Buffer.concat([start, Buffer.of(0xff)]);
    const range = { first: Buffer.compare(first, start) < 0 ? start : first, end };
    const how = { limit: Math.min(limit, LETTERS_PAGE_MAX), level: Level.STRONG, reverse: false };
    return this.#kv.scanRows({ key: KEY, ...range, ...how }, options);
  }

  /** Undefined when there is none of this name. */
  async find(name: LetterName, options: CallOptions = {}): Promise<DeadLetter | undefined> {
    const request = { key: KEY, rows: [rowOf(name)], marks: [], level: Level.STRONG };
    const [row] = (await this.#kv.getRows(request, options)).rows;
    return row === undefined ? undefined : fromBytes(decodeDeadLetter, row.value);
  }

  async remove(names: readonly LetterName[], options: CallOptions = {}): Promise<void> {
    const operations = names.map((name) => {
      return { operation: { case: "delete" as const, value: rowOf(name) } };
    });
    await this.#change(operations, options);
  }

  async #trim(throughVersion: number, options: CallOptions): Promise<void> {
    const value = { throughVersion, rowPrefix: NO_BYTES, appendIds: false };
    await this.#change([{ operation: { case: "trim", value } }], options);
  }

  /** Every one of them is safe to repeat, so they need no operation ids. */
  #change(operations: RowOperation[], options: CallOptions): Promise<ChangeReply> {
    const change = { guards: [], operations };
    return this.#kv.change({ key: KEY, change }, { ...options, operationId: NO_BYTES });
  }
}

export function nameOfLetter({ stream, slot, part }: LetterName): string {
  return `${stream}@${slot}.${part}`;
}

/** Undefined: no such name can be. */
export function letterNamed(name: string): LetterName | undefined {
  const [, stream, slot, part] = /^(.+)@(\d{1,15})\.(\d{1,5})$/.exec(name) ?? [];
  // Slots begin at 1.
  if (stream === undefined || !isStreamName(stream) || Number(slot) === 0) return undefined;
  return { stream, slot: Number(slot), part: Number(part) };
}

const SLOT_DIGITS = 16;
const PART_DIGITS = 5;

function rowOf({ stream, slot, part }: LetterName): Buffer {
  const at = String(slot).padStart(SLOT_DIGITS, "0");
  return Buffer.from(`${stream}#${at}.${String(part).padStart(PART_DIGITS, "0")}`);
}
