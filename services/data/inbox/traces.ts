/** What a user took part in, as its inbox shows it. */
import type {
  TracesReply,
  TracesRequest,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import { usersOf } from "../message/client.ts";
import { inboxKey, readRow } from "./rows.ts";

const PAGE_ROWS = 1_000;

export async function readTraces(
  kv: KvClient,
  { userId, cursor }: TracesRequest,
  options: CallOptions,
): Promise<TracesReply> {
  const key = inboxKey(userId);
  const scan = {
    first: cursor,
    end: NO_BYTES,
    limit: PAGE_ROWS,
    level: Level.STRONG,
    reverse: false,
  };
  const page = await kv.scanRows({ key, ...scan }, options);
  const conversations = new Set<string>();
  const groups = new Set<string>();
  for (const stored of page.rows) {
    const row = readRow(stored)?.row;
    if (row === undefined) continue;
    const id = row.case === "membership" ? row.value.groupId : row.value.conversationId;
    if (usersOf(id).length > 0) conversations.add(id);
    else groups.add(id);
  }
  const last = page.more ? page.rows.at(-1) : undefined;
  return {
    conversationIds: [...conversations],
    groupIds: [...groups],
    cursor: last === undefined ? NO_BYTES : Buffer.concat([last.row, Buffer.from([0])]),
  };
}
