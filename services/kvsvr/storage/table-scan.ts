/**
 * A table's rows from memory and the state engine as one sequence, the newest state of each. Who scans
 * looks at a bounded number of rows a turn: many that are deleted or forgotten may lie before the next
 * one that is there.
 */
import { trimsOf } from "../protocol/register.ts";
import { isForgotten } from "../protocol/trim.ts";
import type { EngineRow, RowRange, StateEngine } from "./engine.ts";
import type { Entry } from "./entry.ts";

/** False: the row is not taken, and no other is wanted. */
export type Take = (row: EngineRow) => boolean;

/** The table has forgotten the row. */
export function isGone({ register }: Entry, row: EngineRow): boolean {
  const trims = trimsOf(register);
  return trims.length > 0 && isForgotten(trims, row.row, row.version);
}

/** Offers present rows of a range; what is left of it after `most` were looked at or one not taken. */
export function lookAtRows(
  engine: StateEngine,
  entry: Entry,
  scan: { range: RowRange; most: number; take: Take },
): RowRange | undefined {
  const { range, most, take } = scan;
  let looked = 0;
  for (const row of allRows(engine, entry, range)) {
    if (looked >= most) return restFrom(range, row.row);
    looked += 1;
    if (!row.deleted && !isGone(entry, row) && !take(row)) return restFrom(range, row.row);
  }
  return undefined;
}

/** The part of a range that begins with a row. */
function restFrom(range: RowRange, row: Uint8Array): RowRange {
  if (!range.reverse) return { ...range, first: Buffer.from(row) };
  return { ...range, end: Buffer.concat([row, Buffer.alloc(1)]) };
}

/** Rows first <= key < end in key order, or reversed, deleted and forgotten ones included. */
function* allRows(engine: StateEngine, entry: Entry, range: RowRange): Iterable<EngineRow> {
  const waiting = (entry.rows?.range(range) ?? [])[Symbol.iterator]();
  const sign = range.reverse ? -1 : 1;
  let next = waiting.next();
  for (const row of engine.rows(entry.registerKey, range)) {
    let order = -1;
    for (; !next.done; next = waiting.next()) {
      order = sign * Buffer.compare(next.value.row, row.row);
      if (order >= 0) break;
      yield next.value;
    }
    const overwritten = !next.done && order === 0;
    if (!overwritten) yield row;
  }
  for (; !next.done; next = waiting.next()) yield next.value;
}

/**
 * Offers rows above a version in the order of versions, deleted ones included; tells the version to go
 * on after when about `most` were looked at or one was not taken.
 */
export function lookAtChanges(
  engine: StateEngine,
  entry: Entry,
  scan: { after: number; most: number; take: Take },
): number | undefined {
  let through = scan.after;
  let looked = 0;
  for (const row of allChanges(engine, entry, scan.after)) {
    if (looked >= scan.most && row.version > through) return through;
    looked += 1;
    if (!isGone(entry, row) && !scan.take(row)) return through;
    through = row.version;
  }
  return undefined;
}

/** Rows above a version in the order of versions, deleted and forgotten ones included. */
export function* allChanges(engine: StateEngine, entry: Entry, after: number): Iterable<EngineRow> {
  for (const row of engine.changes(entry.registerKey, after)) {
    if (entry.rows?.get(row.row) === undefined) yield row;
  }
  if (entry.rows !== undefined) yield* entry.rows.changes(after);
}
