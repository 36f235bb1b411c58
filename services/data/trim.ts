/** Trims of a table as data access asks for them (S8). */
import {
  type Key,
  Level,
  type RowOperation,
  type Trim,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../kvsvr/client.ts";
import type { CallOptions } from "../svrkit/call.ts";

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

const EVERYTHING: readonly Kind[] = [
  { rowPrefix: new Uint8Array(0), appendIds: false },
  { rowPrefix: new Uint8Array(0), appendIds: true },
];

/** Forgets every row of a table, as it is now; marks and the last number stay. `left` is put there in one go. */
export function forgetAll(
  kv: KvClient,
  key: Key,
  options: CallOptions,
  left: readonly RowOperation[] = [],
): Promise<number> {
  return forgetKinds(kv, key, { kinds: EVERYTHING, left }, options);
}

/** The same with the rows of some kinds alone. */
export async function forgetKinds(
  kv: KvClient,
  key: Key,
  { kinds, left = [] }: { kinds: readonly Kind[]; left?: readonly RowOperation[] },
  options: CallOptions,
): Promise<number> {
  const table = await kv.getRows({ key, rows: [], marks: [], level: Level.STRONG }, options);
  const trims = kinds.flatMap((kind) =>
    trimOperations(table.trims, { ...kind, throughVersion: table.version }),
  );
  const operations = [...trims, ...left];
  if (operations.length > 0) await kv.change({ key, change: { guards: [], operations } }, options);
  return table.version;
}
