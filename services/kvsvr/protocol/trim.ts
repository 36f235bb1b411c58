/**
 * Trimming (S8): a table forgets what was last written at or below a version.
 *
 * A trim is a floor, not a list of deletions: a version decides "rows of this kind through version t",
 * the register keeps it, and reads pass over what lies below from that version on, at every replica
 * alike. So a trim of any size is one small decided change, replays like any other, and reaches a
 * replica that was away with the register alone. The rows themselves leave the state engine later, in
 * small parts (storage/sweeper.ts). Deleting them in the change would make its delta, log record and
 * commit as large as what is forgotten; in bounded changes it would take one decision a part.
 *
 * Marks, the last sequence number and operation ids stay: what was done once is not done again.
 */
import type { Trim } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { planted } from "./planted.ts";

/**
 * Inside a table a row key is a class byte and the caller's bytes. Marks (named numbers that only
 * rise) are never trimmed.
 */
export const ROW_CLASS = { row: 1, mark: 2, appended: 3 } as const;

/** Kinds of rows a table is trimmed by, at once: each costs a comparison with every row read. */
export const TRIMS_MAX = 8;

/** One for all, so that what has not changed is the same. */
export const NO_TRIMS: readonly Trim[] = [];

/** Whether a row last written in `version` is forgotten. */
export function isForgotten(trims: readonly Trim[], inner: Uint8Array, version: number): boolean {
  const above = planted("trim-forgets-newer") ? 1 : 0;
  for (const trim of trims)
    if (version <= trim.throughVersion + above && covers(trim, inner)) return true;
  return false;
}

/** The version through which all rows of this trim's kind are forgotten. */
export function forgottenThrough(trims: readonly Trim[], kind: Trim): number {
  let through = 0;
  for (const trim of trims)
    if (includes(trim, kind)) through = Math.max(through, trim.throughVersion);
  return through;
}

/** The trims with one more; those that it makes needless are left out. The same list if it adds none. */
export function withTrim(trims: readonly Trim[], added: Trim): readonly Trim[] {
  if (forgottenThrough(trims, added) >= added.throughVersion) return trims;
  const kept = trims.filter(
    (trim) => !(includes(added, trim) && trim.throughVersion <= added.throughVersion),
  );
  // A copy: the register must not hold the message that the trim came in.
  return [...kept, { ...added, rowPrefix: new Uint8Array(added.rowPrefix) }];
}

/** Adds what a decided version, or a peer that is ahead, has forgotten. */
export function withTrims(trims: readonly Trim[], added: readonly Trim[]): readonly Trim[] {
  return added.reduce(withTrim, trims);
}

/** Whether a table may be trimmed by so many kinds of rows. */
export function isRoomFor(trims: readonly Trim[]): boolean {
  return trims.length <= TRIMS_MAX;
}

function covers({ appendIds, rowPrefix }: Trim, inner: Uint8Array): boolean {
  if (inner[0] !== (appendIds ? ROW_CLASS.appended : ROW_CLASS.row)) return false;
  return beginsWith(inner, rowPrefix, 1);
}

/** Everything that `inner` forgets `outer` forgets too, versions apart. */
function includes(outer: Trim, inner: Trim): boolean {
  return outer.appendIds === inner.appendIds && beginsWith(inner.rowPrefix, outer.rowPrefix, 0);
}

function beginsWith(bytes: Uint8Array, prefix: Uint8Array, at: number): boolean {
  if (bytes.length < at + prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[at + i] !== prefix[i]) return false;
  return true;
}
