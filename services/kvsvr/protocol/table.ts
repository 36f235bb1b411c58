/**
 * Key-Table: what a change does to a table, decided by the proposer against the newest version it
 * holds (S8). The outcome is a delta of row writes, so replicas apply and never evaluate.
 *
 * User rows, marks (named numbers that only rise) and appended ids (id -> sequence number) share the
 * table's version and its delta.
 *
 * Many waiting changes are packed into one version: each sees the ones before it.
 */
import type {
  ChangeReply,
  FailedGuard,
  Guard,
  OperationResult,
  RowOperation,
  TableChange,
  Trim,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { RowWrite } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { forgottenThrough, isForgotten, isRoomFor, ROW_CLASS, withTrim } from "./trim.ts";

export interface TableRow {
  readonly value: Uint8Array;
  readonly version: number;
}

/** The table as it stands at its newest held version. */
export interface TableView {
  /** A row by its inner key; undefined when it is absent, deleted or forgotten. */
  row(innerKey: Uint8Array): TableRow | undefined;
  readonly lastNumber: number;
  readonly version: number;
  /** There is no table: to its users it is at version 0, whatever it begins above. */
  readonly isAbsent?: boolean;
  /** What was forgotten so far. */
  readonly trims: readonly Trim[];
}

/** Why a change is not carried out. */
export type NotCarriedOut =
  /** The table would be trimmed by more kinds of rows than it can remember. */
  | "tooManyTrims"
  /** It would return more of what is there already than CHANGE_RESULT_BYTES_MAX. */
  | "resultTooLarge";

/** One change as it would be carried out. */
export interface Evaluated {
  readonly reply: ChangeReply;
  readonly hasWritten: boolean;
  readonly writes: ReadonlyMap<string, RowWrite>;
  readonly lastNumber: number;
  readonly trims: readonly Trim[];
}

/** Values of rows that one change found where it would have inserted: as much as it may write. */
export const CHANGE_RESULT_BYTES_MAX = 1024 * 1024;

const EMPTY = new Uint8Array(0);

export function innerKey(rowClass: number, key: Uint8Array): Uint8Array {
  const inner = Buffer.allocUnsafe(key.length + 1);
  inner[0] = rowClass;
  inner.set(key, 1);
  return inner;
}

/** Unsigned integers in row values and appended keys: 8 bytes, big-endian. */
function numberBytes(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(Math.floor(value / 0x100000000), 0);
  bytes.writeUInt32BE(value >>> 0, 4);
  return bytes;
}

export function bytesNumber(bytes: Uint8Array): number {
  let value = 0;
  for (const byte of bytes) value = value * 256 + byte;
  return value;
}

/** Evaluates changes one after another for the version after `base`. */
export class ChangePacker {
  readonly #base: TableView;
  readonly #packed = new Map<string, RowWrite>();
  #packedLastNumber: number;
  /** The table's trims, the new ones with them. */
  #packedTrims: readonly Trim[];
  #applied = 0;
  /** What the change under evaluation makes of it. */
  #writes = new Map<string, RowWrite>();
  #lastNumber = 0;
  #trims: readonly Trim[] = [];

  constructor(base: TableView) {
    this.#base = base;
    this.#packedLastNumber = base.lastNumber;
    this.#packedTrims = base.trims;
  }

  get version(): number {
    return this.#base.version + 1;
  }

  /** Row writes so far, each row once, in the order of its last write. */
  get writes(): RowWrite[] {
    return [...this.#packed.values()];
  }

  get lastNumber(): number {
    return this.#packedLastNumber;
  }

  /** What this version forgets. */
  get trims(): Trim[] {
    return this.#packedTrims.filter((trim) => !this.#base.trims.includes(trim));
  }

  /** Changes that wrote something. */
  get applied(): number {
    return this.#applied;
  }

  /** One change, whole or not at all, on top of those carried out. `alone` is settled when all are. */
  evaluate(change: TableChange): Evaluated | NotCarriedOut {
    this.#writes = new Map();
    this.#lastNumber = this.#packedLastNumber;
    this.#trims = this.#packedTrims;
    if (!this.#canTrim(change)) return "tooManyTrims";
    for (let index = 0; index < change.guards.length; index++) {
      const failed = this.#check(change.guards[index]!, index);
      if (failed !== undefined) return this.#evaluated(false, [], failed);
    }
    for (const guard of change.guards) this.#raise(guard);
    const results: OperationResult[] = [];
    let bytes = 0;
    for (const operation of change.operations) {
      const result = this.#operate(operation);
      bytes += result.value.length;
      if (bytes > CHANGE_RESULT_BYTES_MAX) return "resultTooLarge";
      results.push(result);
    }
    return this.#evaluated(true, results, undefined);
  }

  carryOut({ writes, lastNumber, trims, hasWritten }: Evaluated): void {
    for (const [name, write] of writes) {
      this.#packed.delete(name);
      this.#packed.set(name, write);
    }
    this.#packedLastNumber = lastNumber;
    this.#packedTrims = trims;
    if (hasWritten) this.#applied += 1;
  }

  /** Its version: of the last change that wrote, or of the base, on which one that wrote nothing rests. */
  #evaluated(
    applied: boolean,
    results: OperationResult[],
    failedGuard: FailedGuard | undefined,
  ): Evaluated {
    const hasWritten = this.#writes.size > 0 || this.#trims !== this.#packedTrims;
    const { isAbsent = false, version: before } = this.#base;
    const isFirst = !hasWritten && this.#applied === 0;
    const version = isFirst ? (isAbsent ? 0 : before) : this.version;
    const reply = { applied, version, alone: false, results, failedGuard };
    const [writes, lastNumber, trims] = [this.#writes, this.#lastNumber, this.#trims];
    return { reply, hasWritten, writes, lastNumber, trims };
  }

  #row(inner: Uint8Array): TableRow | undefined {
    const name = nameOf(inner);
    const written = this.#writes.get(name) ?? this.#packed.get(name);
    if (written === undefined) {
      const row = this.#base.row(inner);
      return row === undefined || isForgotten(this.#trims, inner, row.version) ? undefined : row;
    }
    return written.deleted ? undefined : { value: written.value, version: this.version };
  }

  #write(row: Uint8Array, value: Uint8Array, deleted: boolean): void {
    const name = nameOf(row);
    this.#writes.delete(name);
    this.#writes.set(name, { row, value, deleted });
  }

  #check(guard: Guard, index: number): FailedGuard | undefined {
    switch (guard.guard?.case) {
      case "mark": {
        const { name, from, allowSkip } = guard.guard.value;
        const actual = this.#mark(name);
        return actual === from || (allowSkip && actual < from) ? undefined : { index, actual };
      }
      case "row": {
        const { row, version } = guard.guard.value;
        const actual = this.#row(innerKey(ROW_CLASS.row, row))?.version ?? 0;
        return actual === version ? undefined : { index, actual };
      }
      default:
        return undefined;
    }
  }

  #mark(name: Uint8Array): number {
    const row = this.#row(innerKey(ROW_CLASS.mark, name));
    return row === undefined ? 0 : bytesNumber(row.value);
  }

  #raise(guard: Guard): void {
    if (guard.guard?.case !== "mark") return;
    const { name, to } = guard.guard.value;
    if (to > this.#mark(name)) this.#write(innerKey(ROW_CLASS.mark, name), numberBytes(to), false);
  }

  #operate(operation: RowOperation): OperationResult {
    switch (operation.operation?.case) {
      case "upsert": {
        const { row, value } = operation.operation.value;
        const inner = innerKey(ROW_CLASS.row, row);
        const existed = this.#row(inner) !== undefined;
        this.#write(inner, value, false);
        return { existed, value: EMPTY, number: 0 };
      }
      case "insertIfAbsent": {
        const { row, value } = operation.operation.value;
        const inner = innerKey(ROW_CLASS.row, row);
        const there = this.#row(inner);
        if (there !== undefined) return { existed: true, value: there.value, number: 0 };
        this.#write(inner, value, false);
        return { existed: false, value: EMPTY, number: 0 };
      }
      case "delete": {
        const inner = innerKey(ROW_CLASS.row, operation.operation.value);
        const existed = this.#row(inner) !== undefined;
        if (existed) this.#write(inner, EMPTY, true);
        return { existed, value: EMPTY, number: 0 };
      }
      case "append":
        return this.#append(operation.operation.value);
      case "trim":
        return this.#trim(operation.operation.value);
      default:
        return { existed: false, value: EMPTY, number: 0 };
    }
  }

  #append(append: { id: Uint8Array; prefix: Uint8Array; value: Uint8Array }): OperationResult {
    const idKey = innerKey(ROW_CLASS.appended, append.id);
    const there = this.#row(idKey);
    if (there !== undefined)
      return { existed: true, value: EMPTY, number: bytesNumber(there.value) };
    this.#lastNumber += 1;
    const number = numberBytes(this.#lastNumber);
    this.#write(idKey, number, false);
    this.#write(
      innerKey(ROW_CLASS.row, Buffer.concat([append.prefix, number])),
      append.value,
      false,
    );
    return { existed: false, value: EMPTY, number: this.#lastNumber };
  }

  #canTrim({ operations }: TableChange): boolean {
    let trims = this.#trims;
    for (const { operation } of operations)
      if (operation?.case === "trim") trims = withTrim(trims, this.#clamped(operation.value));
    return trims === this.#trims || isRoomFor(trims);
  }

  /** What this version itself writes is not known before it is full: it is never forgotten by it. */
  #clamped(trim: Trim): Trim {
    return { ...trim, throughVersion: Math.min(trim.throughVersion, this.#base.version) };
  }

  #trim(asked: Trim): OperationResult {
    const trims = withTrim(this.#trims, this.#clamped(asked));
    const existed = trims === this.#trims;
    this.#trims = trims;
    return { existed, value: EMPTY, number: forgottenThrough(trims, asked) };
  }
}

function nameOf(inner: Uint8Array): string {
  return Buffer.from(inner.buffer, inner.byteOffset, inner.byteLength).toString("latin1");
}
