/**
 * Reading an inbox after a version, in pages of whole versions bounded by rows and by bytes.
 *
 * The store bounds its pages by rows. Rows differ by a factor of a thousand in size, so a page is
 * read in steps small enough for a frame even if every row is as large as a row can be.
 */
import type {
  InboxChangesReply,
  InboxChangesRequest,
  InboxRow,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import { levelOf } from "../consistency.ts";
import { inboxKey, readRow } from "./rows.ts";

const STEP_ROWS_MAX = 100;
const PAGE_ROWS_MAX = 1_000;
const PAGE_BYTES_DEFAULT = 512 * 1024;

export async function readChanges(
  kv: KvClient,
  request: InboxChangesRequest,
  options: CallOptions,
): Promise<InboxChangesReply> {
  const { userId, afterVersion } = request;
  const key = inboxKey(userId);
  const level = levelOf(request.consistency);
  const rowsMax = Math.min(request.limit || PAGE_ROWS_MAX, PAGE_ROWS_MAX);
  const bytesMax = request.bytesMax || PAGE_BYTES_DEFAULT;
  const rows: InboxRow[] = [];
  let through = afterVersion;
  for (let bytes = 0, read = 0; ; ) {
    const limit = Math.min(STEP_ROWS_MAX, rowsMax - read);
    const step = await kv.scanChanges({ key, afterVersion: through, limit, level }, options);
    for (const row of step.rows) {
      bytes += row.value.length;
      const readable = readRow(row);
      if (readable !== undefined) rows.push(readable);
    }
    read += step.rows.length;
    const isStuck = step.throughVersion <= through;
    through = Math.max(through, step.throughVersion);
    if (!step.more || read >= rowsMax || bytes >= bytesMax || isStuck) {
      return { version: step.version, throughVersion: through, more: step.more, rows };
    }
  }
}
