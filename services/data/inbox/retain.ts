/** Forgetting what an inbox need not keep any more (M5). Settings and memberships stay. */
import type { RetainInboxRequest } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { Level, type VersionedRow } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import { versionBefore } from "../age.ts";
import { committedAt } from "../message/client.ts";
import { trimmedThrough, trimOperations } from "../trim.ts";
import { inboxKey, ROW_KINDS, readRow } from "./rows.ts";

/** Resolves to the version up to which something is forgotten. */
export async function forget(
  kv: KvClient,
  request: RetainInboxRequest,
  options: CallOptions,
): Promise<number> {
  const key = inboxKey(request.userId);
  const { trims, version } = await kv.getRows(
    { key, rows: [], marks: [], level: Level.ANY },
    options,
  );
  const delivered = { rowPrefix: ROW_KINDS.delivered, appendIds: false };
  const committed = { rowPrefix: ROW_KINDS.committed, appendIds: false };
  const age = { key, timeOf, fromVersion: trimmedThrough(trims, delivered) };
  const oldVersion = await versionBefore(
    kv,
    { ...age, beforeMs: request.deliveredBeforeMs },
    options,
  );
  const confirmed = Math.min(request.confirmedVersion, version);
  const operations = [
    ...trimOperations(trims, { ...delivered, throughVersion: Math.max(oldVersion, confirmed) }),
  ];
  const ownFrom = trimmedThrough(trims, committed);
  const ownAge = { ...age, fromVersion: ownFrom, beforeMs: request.committedBeforeMs };
  const throughVersion = await versionBefore(kv, ownAge, options);
  operations.push(...trimOperations(trims, { ...committed, throughVersion }));
  if (operations.length > 0) await kv.change({ key, change: { guards: [], operations } }, options);
  return Math.max(oldVersion, confirmed, throughVersion);
}

function timeOf(row: VersionedRow): number | undefined {
  const read = readRow(row)?.row;
  if (read?.case === "delivered" || read?.case === "committed") return committedAt(read.value);
  return undefined;
}
