/**
 * Watching a key or a table: asked again and again with the store's own read, a call at a time, so
 * that a watch costs the same however long it takes. Versions that come faster than it asks are
 * passed over, of a table's rows the newest state is shown.
 */
import { setTimeout as rest } from "node:timers/promises";
import { type Key, Level, type VersionedRow } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../services/kvsvr/client.ts";
import { RpcError } from "../../services/svrkit/errors.ts";
import type { CommandCall } from "../command.ts";
import { printJson } from "../output/json.ts";
import { bytesJson, showBytes } from "./bytes.ts";
import { rowsJson } from "./rows.ts";
import { notationOf } from "./store.ts";

const PAUSE_MS = 250;
/** Nobody looks at a terminal for longer than this; about as long as a timer can be. */
export const WATCH_MS_MAX = 20 * 24 * 3_600_000;

interface Watch {
  readonly call: CommandCall;
  readonly store: KvClient;
  readonly key: Key;
  /** Until Ctrl-C, and for no longer. */
  readonly forMs: number;
}

/** Prints the version there is, then every new one it sees. */
export async function watchKey(watch: Watch): Promise<void> {
  const stop = new AbortController();
  const onInterrupt = () => stop.abort();
  process.once("SIGINT", onInterrupt);
  const limit = setTimeout(() => stop.abort(), watch.forMs);
  try {
    await lookUntil(watch, stop.signal);
  } finally {
    clearTimeout(limit);
    process.off("SIGINT", onInterrupt);
  }
}

async function lookUntil(watch: Watch, stop: AbortSignal): Promise<void> {
  let look = lookAtKey;
  for (let version: number | undefined; !stop.aborted; ) {
    try {
      version = await look(watch, version);
    } catch (error) {
      const isTable = error instanceof RpcError && error.code === "FAILED_PRECONDITION";
      if (!isTable || look === lookAtTable) throw error;
      look = lookAtTable;
      continue;
    }
    await rest(PAUSE_MS, undefined, { signal: stop }).catch(() => {});
  }
}

async function lookAtKey({ call, store, key }: Watch, before: number | undefined): Promise<number> {
  const { found, value, version } = await store.get({ key, level: Level.STRONG });
  if (version === before) return version;
  const notation = notationOf(call);
  const content = found ? bytesJson("value", value, notation) : {};
  if (call.json) printJson({ version, found, ...content });
  else if (found) console.log(`${version}  written  ${showBytes(value, notation)}`);
  else console.log(`${version}  ${version === 0 ? "never written" : "deleted"}`);
  return version;
}

async function lookAtTable(watch: Watch, before: number | undefined): Promise<number> {
  const { call, store, key } = watch;
  if (before === undefined) {
    const { version } = await store.getRows({ key, rows: [], marks: [], level: Level.STRONG });
    if (call.json) printJson({ version, rows: [] });
    else console.log(`${version}  table`);
    return version;
  }
  const request = { key, afterVersion: before, limit: 0, level: Level.STRONG };
  const { rows, throughVersion } = await store.scanChanges(request);
  if (throughVersion > before) print(call, rows, throughVersion);
  return throughVersion;
}

function print(call: CommandCall, rows: readonly VersionedRow[], version: number): void {
  const notation = notationOf(call);
  if (call.json) {
    printJson({ version, rows: rowsJson(rows, notation) });
    return;
  }
  // A change of marks alone moves the version without a row.
  if (rows.length === 0) console.log(`${version}  no row changed`);
  for (const row of rows) {
    const name = showBytes(row.row, notation);
    const change = row.deleted
      ? `deleted  ${name}`
      : `written  ${name}  ${showBytes(row.value, notation)}`;
    console.log(`${row.version}  ${change}`);
  }
}
