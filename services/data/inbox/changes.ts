/** Reading an inbox after a version, in pages of whole versions. */
import type {
  InboxChangesReply,
  InboxChangesRequest,
  InboxRow,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import { levelOf } from "../consistency.ts";
import { inboxKey, readRow } from "./rows.ts";

export async function readChanges(
  kv: KvClient,
  { userId, afterVersion, limit, consistency }: InboxChangesRequest,
  options: CallOptions,
): Promise<InboxChangesReply> {
  const key = inboxKey(userId);
  const level = levelOf(consistency);
  const page = await kv.scanChanges({ key, afterVersion, limit, level }, options);
  const rows: InboxRow[] = [];
  for (const stored of page.rows) {
    const row = readRow(stored);
    if (row !== undefined) rows.push(row);
  }
  const { version, throughVersion, more, trims } = page;
  const forgottenVersion = trims.reduce((newest, t) => Math.max(newest, t.throughVersion), 0);
  return { version, throughVersion, more, rows, forgottenVersion };
}
