/** Trims of a table as data access asks for them (S8). */
import type { RowOperation, Trim } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";

type Kind = Pick<Trim, "rowPrefix" | "appendIds">;

/** Through which version rows of a kind are forgotten. */
export function trimmedThrough(trims: readonly Trim[], { rowPrefix, appendIds }: Kind): number {
  const same = trims.filter(
    (trim) => trim.appendIds === appendIds && Buffer.compare(trim.rowPrefix, rowPrefix) === 0,
  );
  return same.reduce((newest, trim) => Math.max(newest, trim.throughVersion), 0);
}

/** The operation that forgets so far; none when it is forgotten already. */
export function trimOperations(trims: readonly Trim[], trim: Trim): RowOperation[] {
  if (trim.throughVersion <= trimmedThrough(trims, trim)) return [];
  return [{ operation: { case: "trim", value: trim } }];
}
