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

/** Of all parts of one state (ReplicasClient.fetch); undefined: there is none, or they are of several versions. */
export function contentsOf(parts: readonly FetchReply[]): Contents | undefined {
  const [first] = parts;
  if (first === undefined || parts.some(({ version }) => version !== first.version))
    return undefined;
  const { version, digest, body } = first;
  if (body?.case === "table") {
    const rows = parts.flatMap((part) => (part.body?.case === "table" ? part.body.value.rows : []));
    return { version, digest, held: hashOfRows(rows, body.value.lastNumber), isOther: false };
  }
  const held =
    body === undefined ? absentDigest(version) : recomputedDigest(openDecision(body.value));
  return { version, digest, held, isOther: held !== digest };
}

/** In whatever order they come. */
function hashOfRows(rows: readonly StampedRow[], lastNumber: number): number {
  let high = lastNumber >>> 0;
  let low = 0;
  for (const { row, value, version, deleted } of rows) {
    const bytes = Buffer.allocUnsafe(ROW_HEAD_BYTES + row.length + value.length);
    bytes.writeUIntBE(version, 0, 6);
    bytes[6] = deleted ? 1 : 0;
    bytes.writeUInt16BE(row.length, 7);
    bytes.set(row, ROW_HEAD_BYTES);
    bytes.set(value, ROW_HEAD_BYTES + row.length);
    high = (high + murmur3(bytes, 1)) >>> 0;
    low = (low + murmur3(bytes, 2)) >>> 0;
  }
  return high * (1 << LOW_BITS) + (low & LOW_MASK);
}
