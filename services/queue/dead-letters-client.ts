/**
 * Entries that their consumers gave up, in one table of the store, by stream, slot and part: burying one
 * twice changes nothing, so a consumer that dies between burying and going on does no harm. The newest
 * stay; each change of the table makes at least one letter, so versions bound their number.
 */
import {
  type ChangeReply,
  Keyspace,
  Level,
  type RowOperation,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import {
  type DeadLetter,
  decodeDeadLetter,
  encodeDeadLetter,
} from "../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import type { KvClient } from "../kvsvr/client.ts";
import type { CallOptions } from "../svrkit/call.ts";
import { fromBytes, NO_BYTES, toBytes } from "../svrkit/codec.ts";
import { inParts } from "./protocol/letters.ts";

/** Changes of the table whose letters are kept, each of at most as many as CHANGE says. */
const KEPT_CHANGES = 10_000;
const CHANGE = { letters: 16, bytes: 256 * 1024 };
const FORGET_EVERY = 100;
const PAGE_MAX = 200;
const KEY = { keyspace: Keyspace.CONTROL, key: Buffer.from("queue/dead-letters") };

/** Which letter: of these three its name is made, "hooks/17@204.0". */
export type LetterName = Pick<DeadLetter, "stream" | "slot" | "part">;

export class DeadLetters {
  readonly #kv: KvClient;
  readonly #keptChanges: number;

  constructor(kv: KvClient, keptChanges = KEPT_CHANGES) {
    this.#kv = kv;
    this.#keptChanges = keptChanges;
  }

  /** Resolves when they are durable. */
  async bury(letters: readonly DeadLetter[], options: CallOptions): Promise<void> {
    for (const some of inParts(letters, CHANGE)) {
      const operations = some.map((letter) => {
        const value = { row: rowOf(letter), value: toBytes(encodeDeadLetter, letter) };
        return { operation: { case: "insertIfAbsent" as const, value } };
      });
      const { version } = await this.#change(operations, options);
      if (version > this.#keptChanges && version % FORGET_EVERY === 0) {
        const throughVersion = version - this.#keptChanges;
        const trim = { throughVersion, rowPrefix: NO_BYTES, appendIds: false };
        await this.#change([{ operation: { case: "trim", value: trim } }], options);
      }
    }
  }

  /** In the order of streams and slots, those behind `after`. */
  async list(
    { after, limit }: { after?: LetterName | undefined; limit: number },
    options: CallOptions = {},
  ): Promise<DeadLetter[]> {
    const found: DeadLetter[] = [];
    let first = after === undefined ? NO_BYTES : Buffer.concat([rowOf(after), Buffer.of(0)]);
    for (let isMore = true; isMore && found.length < limit; ) {
      const range = { first, end: NO_BYTES, level: Level.STRONG, reverse: false };
      const page = Math.min(PAGE_MAX, limit - found.length);
      const { rows, more } = await this.#kv.scanRows({ key: KEY, ...range, limit: page }, options);
      found.push(...rows.map(({ value }) => fromBytes(decodeDeadLetter, value)));
      const last = rows.at(-1);
      isMore = more && last !== undefined;
      if (last !== undefined) first = Buffer.concat([last.row, Buffer.of(0)]);
    }
    return found;
  }

  /** Undefined when there is none of this name. */
  async find(name: LetterName, options: CallOptions = {}): Promise<DeadLetter | undefined> {
    const request = { key: KEY, rows: [rowOf(name)], marks: [], level: Level.STRONG };
    const [row] = (await this.#kv.getRows(request, options)).rows;
    return row === undefined ? undefined : fromBytes(decodeDeadLetter, row.value);
  }

  async remove(name: LetterName, options: CallOptions = {}): Promise<void> {
    await this.#change([{ operation: { case: "delete", value: rowOf(name) } }], options);
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
  return stream === undefined ? undefined : { stream, slot: Number(slot), part: Number(part) };
}

const SLOT_DIGITS = 16;
const PART_DIGITS = 5;

function rowOf({ stream, slot, part }: LetterName): Buffer {
  const at = String(slot).padStart(SLOT_DIGITS, "0");
  return Buffer.from(`${stream}#${at}.${String(part).padStart(PART_DIGITS, "0")}`);
}
