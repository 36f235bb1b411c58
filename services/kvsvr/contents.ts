/**
 * What a replica holds of a key, computed from the value or the rows themselves. A digest is handed on with
 * what it stands for and never computed again: a value or row that has become another one since, by whatever
 * mistake, would be believed. Of a key the digest says what its value must be; that of a table chains its
 * changes, which are gone, so that only its replicas' rows can be held against each other. Pure.
 */
import type { FetchReply, StampedRow } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { murmur3 } from "../svrkit/murmur3.ts";
import { absentDigest, openDecision, recomputedDigest } from "./protocol/decision.ts";

/** Two sums of 32 bits; 21 of the second make a safe integer with the first. */
const LOW_BITS = 21;
const LOW_MASK = (1 << LOW_BITS) - 1;
const ROW_HEAD_BYTES = 9;

export interface Contents {
  readonly version: number;
  readonly digest: number;
  /** The same where the same is held, 53 bits. */
  readonly held: number;
  /** What is held is not what the digest was made of. */
  readonly isOther: boolean;
}

/**
 * Of all parts of one state, each looked at once and none kept; undefined: one of them is not there, or is
 * of another version, and no more are asked for.
 */
export async function contentsOf(
  parts: AsyncIterable<FetchReply | undefined>,
): Promise<Contents | undefined> {
  let table: { version: number; digest: number; lastNumber: number } | undefined;
  const rows = new HashOfRows();
  for await (const part of parts) {
    if (part === undefined) return undefined;
    const { version, digest, body } = part;
    if (body?.case !== "table") {
      const held =
        body === undefined ? absentDigest(version) : recomputedDigest(openDecision(body.value));
      return table === undefined ? { version, digest, held, isOther: held !== digest } : undefined;
    }
    const { lastNumber } = body.value;
    table ??= { version, digest, lastNumber };
    if (table.version !== version) return undefined;
    for (const row of body.value.rows) rows.add(row);
  }
  if (table === undefined) return undefined;
  const { version, digest, lastNumber } = table;
  return { version, digest, held: rows.sum(lastNumber), isOther: false };
}

/** Of rows in whatever order they come. */
class HashOfRows {
  #high = 0;
  #low = 0;

  add({ row, value, version, deleted }: StampedRow): void {
    const bytes = Buffer.allocUnsafe(ROW_HEAD_BYTES + row.length + value.length);
    bytes.writeUIntBE(version, 0, 6);
    bytes[6] = deleted ? 1 : 0;
    bytes.writeUInt16BE(row.length, 7);
    bytes.set(row, ROW_HEAD_BYTES);
    bytes.set(value, ROW_HEAD_BYTES + row.length);
    this.#high = (this.#high + murmur3(bytes, 1)) >>> 0;
    this.#low = (this.#low + murmur3(bytes, 2)) >>> 0;
  }

  sum(lastNumber: number): number {
    const high = (this.#high + lastNumber) >>> 0;
    return high * (1 << LOW_BITS) + (this.#low & LOW_MASK);
  }
}
