/** Finding the sequence numbers of message ids: the store has numbered them, and knows. */
import type { SequencesRequest } from "../../../protos/gen/tricampus/data/v1/message_codec.ts";
import type { VersionedRow } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import { orAsBefore } from "../../svrkit/version-before.ts";
import { levelOf } from "../consistency.ts";
import { conversationKey, indexRowKey, isMessageRow, readMessage } from "./rows.ts";

/** Index rows so many versions apart are looked for in one scan: reading on beats another read. */
const VERSIONS_APART_MAX = 60;

export async function findSequences(
  kv: KvClient,
  request: SequencesRequest,
  options: CallOptions,
): Promise<number[]> {
  const key = conversationKey(request.conversationId);
  const level = levelOf(request.consistency);
  const ids = request.messageIds.map((id) => Buffer.from(id));
  const asked = kv.numbers({ key, ids, level }, options).then(({ numbers }) => numbers);
  return orAsBefore(asked, () => findInRows(kv, request, options));
}

/** The rows say the same, in two reads. */
async function findInRows(
  kv: KvClient,
  request: SequencesRequest,
  options: CallOptions,
): Promise<number[]> {
  const key = conversationKey(request.conversationId);
  const level = levelOf(request.consistency);
  const found = new Map(request.messageIds.map((id) => [id, 0]));
  const rows = [...found.keys()].map(indexRowKey);
  const index = await kv.getRows({ key, rows, marks: [], level }, options);
  for (const { first, last } of ranges(index.rows)) {
    for (let afterVersion = first - 1; afterVersion < last; ) {
      const limit = 4 * (last - afterVersion);
      const page = await kv.scanChanges({ key, afterVersion, limit, level }, options);
      for (const row of page.rows.filter(isMessageRow)) {
        const { messageId, sequence } = readMessage(row);
        if (found.has(messageId)) found.set(messageId, sequence);
      }
      if (page.throughVersion <= afterVersion) break;
      afterVersion = page.throughVersion;
    }
  }
  return request.messageIds.map((id) => found.get(id)!);
}

/** Versions to look through: those of the index rows, close ones read as one range. */
export function ranges(rows: readonly Pick<VersionedRow, "version">[]): {
  first: number;
  last: number;
}[] {
  const found: { first: number; last: number }[] = [];
  for (const version of rows.map((row) => row.version).sort((a, b) => a - b)) {
    const range = found.at(-1);
    if (range === undefined || version - range.last > VERSIONS_APART_MAX) {
      found.push({ first: version, last: version });
    } else {
      range.last = version;
    }
  }
  return found;
}
