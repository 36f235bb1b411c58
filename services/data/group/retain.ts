/** Forgetting what a group need not keep any more: delivered messages, and outcomes nobody asks for. */
import type { RetainGroupRequest } from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { Level, type VersionedRow } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import { versionBefore } from "../age.ts";
import { committedAt } from "../message/client.ts";
import { trimmedThrough, trimOperations } from "../trim.ts";
import { groupKey, isMessageRow, MARKS, messagesAfter, ROW_KINDS, readMessage } from "./rows.ts";

export async function forget(
  kv: KvClient,
  request: RetainGroupRequest,
  options: CallOptions,
): Promise<number> {
  const key = groupKey(request.groupId);
  const head = await kv.getRows({ key, rows: [], marks: MARKS, level: Level.STRONG }, options);
  const { trims } = head;
  const old = (kind: Buffer, beforeMs: number) => {
    const fromVersion = trimmedThrough(trims, { rowPrefix: kind, appendIds: false });
    return versionBefore(kv, { key, fromVersion, beforeMs, timeOf }, options);
  };
  const [, , delivered = 0] = head.marks;
  const messagesThrough = Math.min(
    await old(ROW_KINDS.messages, request.messagesBeforeMs),
    await lastDeliveredVersion(kv, { key, delivered, version: head.version }, options),
  );
  const outcomesThrough = await old(ROW_KINDS.outcomes, request.outcomesBeforeMs);
  const operations = [
    ...trimOperations(trims, {
      ...{ rowPrefix: ROW_KINDS.messages, appendIds: false, throughVersion: messagesThrough },
    }),
    ...trimOperations(trims, {
      ...{ rowPrefix: ROW_KINDS.outcomes, appendIds: false, throughVersion: outcomesThrough },
    }),
  ];
  if (operations.length > 0) await kv.change({ key, change: { guards: [], operations } }, options);
  return Math.max(messagesThrough, outcomesThrough);
}

/** The version before the first message that some member's inbox may lack. */
async function lastDeliveredVersion(
  kv: KvClient,
  {
    key,
    delivered,
    version,
  }: { key: ReturnType<typeof groupKey>; delivered: number; version: number },
  options: CallOptions,
): Promise<number> {
  const request = {
    key,
    ...messagesAfter(delivered),
    limit: 1,
    level: Level.STRONG,
    reverse: false,
  };
  const { rows } = await kv.scanRows(request, options);
  return rows[0] === undefined ? version : rows[0].version - 1;
}

function timeOf(row: VersionedRow): number | undefined {
  return isMessageRow(row) ? committedAt(readMessage(row.value)) : undefined;
}
