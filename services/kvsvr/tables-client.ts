/**
 * Listing tables: for housekeeping that passes over all of them now and then, slowly. One replica is
 * asked for what it holds, page by page; a table made meanwhile may be missed until the next pass.
 */
import type { Key } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Replica } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import type { Callee } from "../svrkit/client.ts";
import { NO_BYTES } from "../svrkit/codec.ts";

const PAGE_KEYS = 200;
const TIMEOUT_MS = 5_000;

/** `replica`: the index of the callee's peer. */
export async function* listTables(group: Callee, replica: number): AsyncGenerator<Key> {
  for (let cursor: Uint8Array = NO_BYTES; ; ) {
    const request = { cursor, limit: PAGE_KEYS, epoch: 0 };
    const page = await group.callOne(replica, Replica.listVersions, request, {
      timeoutMs: TIMEOUT_MS,
    });
    for (const { key, table } of page.versions) if (table && key !== undefined) yield key;
    if (page.cursor.length === 0) return;
    cursor = Buffer.from(page.cursor);
  }
}
