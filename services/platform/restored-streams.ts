/**
 * The queue's logs are in no backup, and those of a new platform are empty. A group's table says up to
 * which slot its stream was worked off: the stream goes on behind it, in a segment of its own. From
 * slot 1 again, the group would take every new entry for one it has done.
 */

import type { BackupRecord } from "../../protos/gen/tricampus/kv/v1/backup_codec.ts";
import type { Key } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Keyspace } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { encodeStreamRecord } from "../../protos/gen/tricampus/queue/v1/disk_codec.ts";
import { QUEUE_MARK } from "../data/group/rows.ts";
import { bytesNumber, innerKey } from "../kvsvr/protocol/table.ts";
import { ROW_CLASS } from "../kvsvr/protocol/trim.ts";
import { firstGroup } from "../queue/protocol/placement.ts";
import { streamKey } from "../queue/segment-store.ts";
import { toBytes } from "../svrkit/codec.ts";

const SEGMENT_ID = "restored";
const MARK = innerKey(ROW_CLASS.mark, QUEUE_MARK);

export class RestoredStreams {
  /** By group id: the slot up to which its table has worked off its stream. */
  readonly #offsets = new Map<string, number>();

  /** Looks for groups; a table's parts come in the order of versions, so the last one counts. */
  note(records: readonly BackupRecord[]): void {
    for (const { key, state } of records) {
      if (key?.keyspace !== Keyspace.GROUP || state?.body?.case !== "table") continue;
      const mark = state.body.value.rows.findLast(({ row }) => Buffer.compare(MARK, row) === 0);
      if (mark !== undefined)
        this.#offsets.set(Buffer.from(key.key).toString(), bytesNumber(mark.value));
    }
  }

  /** The streams' records, as the queue keeps them in the store. */
  *records(): Iterable<{ readonly key: Key; readonly value: Uint8Array }> {
    for (const [stream, offset] of this.#offsets) {
      const group = firstGroup(stream);
      const segment = { id: SEGMENT_ID, group, firstSlot: offset + 1, length: undefined };
      const record = { owner: undefined, segments: [segment] };
      yield { key: streamKey(stream), value: toBytes(encodeStreamRecord, record) };
    }
  }
}
