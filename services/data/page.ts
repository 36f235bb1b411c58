/**
 * Pages of messages. The store bounds its own pages to what fits into a frame; what is to be written
 * on, in one change of a table, must be smaller than that.
 */
import type { VersionedRow } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";

/** Rows from the front that together exceed `bytesMax` by less than one row. */
export function firstRows(rows: readonly VersionedRow[], bytesMax: number): VersionedRow[] {
  const taken: VersionedRow[] = [];
  for (let bytes = 0; taken.length < rows.length && bytes < bytesMax; ) {
    const row = rows[taken.length]!;
    taken.push(row);
    bytes += row.row.length + row.value.length;
  }
  return taken;
}

/**
 * Rows from the front that are whole versions and together have at most `bytesMax` bytes; the first version
 * goes whole. `rows`: changes of a table, by version.
 */
export function firstVersions(rows: readonly VersionedRow[], bytesMax: number): VersionedRow[] {
  let bytes = 0;
  let whole = 0;
  for (const [i, row] of rows.entries()) {
    if (i > 0 && row.version !== rows[i - 1]!.version) whole = i;
    bytes += row.row.length + row.value.length;
    if (bytes > bytesMax && whole > 0) return rows.slice(0, whole);
  }
  return [...rows];
}
