/**
 * How old a table's versions are. Rows are stamped with versions, and some kinds of rows hold a time;
 * versions rise with time, so the version of a time is found by halving, in as many reads as a version
 * has bits, and in one when nothing is so old. A row for every day would be there for every table, and
 * would be written for those that nobody needs it for.
 */
import { type Key, Level, type VersionedRow } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../kvsvr/client.ts";
import type { CallOptions } from "../svrkit/call.ts";

/** Rows read at once in looking for one that holds a time. */
const PROBE_ROWS = 32;

export interface AgeQuestion {
  readonly key: Key;
  /** What is so old is known already. */
  readonly fromVersion: number;
  readonly beforeMs: number;
  /** When the row was written, milliseconds since 1970; undefined when it does not say. */
  readonly timeOf: (row: VersionedRow) => number | undefined;
}

/** The newest version that, with all before it, is from before a time; `fromVersion` when none is. */
export async function versionBefore(
  kv: KvClient,
  question: AgeQuestion,
  options: CallOptions,
): Promise<number> {
  const { key, fromVersion, beforeMs, timeOf } = question;
  if (beforeMs <= 0) return fromVersion;
  const firstAfter = async (version: number) => {
    for (let afterVersion = version; ; ) {
      // Old rows are the same at every replica.
      const request = { key, afterVersion, limit: PROBE_ROWS, level: Level.ANY };
      const page = await kv.scanChanges(request, options);
      for (const row of page.rows) {
        const time = row.deleted ? undefined : timeOf(row);
        if (time !== undefined) return { version: row.version, time, newest: page.version };
      }
      if (!page.more) return { version: page.version, time: undefined, newest: page.version };
      afterVersion = page.throughVersion;
    }
  };
  const first = await firstAfter(fromVersion);
  if (first.time === undefined || first.time >= beforeMs) return fromVersion;
  let old = first.version;
  let young = first.newest + 1;
  while (young - old > 1) {
    const middle = Math.floor((old + young) / 2);
    const found = await firstAfter(middle - 1);
    const isOld = found.time !== undefined && found.time < beforeMs && found.version < young;
    if (isOld) old = Math.max(middle, found.version);
    else young = middle;
  }
  return old;
}
