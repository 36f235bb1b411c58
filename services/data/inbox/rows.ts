/**
 * What lies in a user's inbox table, by row key:
 *
 *   s/<client message id>                what the user sent, as committed (M1)
 *   m/<conversation>/<8 bytes sequence>  what was delivered to the user
 *
 * and one mark per conversation: the sequence number up to which it was delivered (M2). The table's
 * version is the user's message sequence.
 */
import {
  decodeInboxMessage,
  encodeInboxMessage,
  type InboxMessage,
} from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  type CommittedMessage,
  type DeliveryTarget,
  decodeCommittedMessage,
  encodeCommittedMessage,
  type InboxRow,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import {
  type Key,
  Keyspace,
  type RowOperation,
  type TableChange,
  type VersionedRow,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { fromBytes, toBytes } from "../../svrkit/codec.ts";
import { sequenceKey } from "../sequence-key.ts";

const COMMITTED = "s/";
const DELIVERED = "m/";

export function inboxKey(userId: string): Key {
  return { keyspace: Keyspace.INBOX, key: Buffer.from(userId) };
}

export function committedRowKey(clientMessageId: string): Buffer {
  return Buffer.from(COMMITTED + clientMessageId);
}

export function commitChange(message: CommittedMessage): TableChange {
  const row = committedRowKey(message.clientMessageId);
  const value = toBytes(encodeCommittedMessage, message);
  return {
    guards: [],
    operations: [{ operation: { case: "insertIfAbsent", value: { row, value } } }],
  };
}

export function readCommitted(value: Uint8Array): CommittedMessage {
  return fromBytes(decodeCommittedMessage, value);
}

/** Messages of one conversation, each encoded once for however many inboxes get it. */
export interface EncodedRows {
  readonly conversation: Buffer;
  readonly rows: readonly {
    readonly sequence: number;
    readonly bytes: number;
    readonly operation: RowOperation;
  }[];
}

export function encodeRows(conversationId: string, messages: readonly InboxMessage[]): EncodedRows {
  const prefix = Buffer.from(`${DELIVERED}${conversationId}/`);
  const rows = messages.map((message) => {
    const row = sequenceKey(prefix, message.sequence);
    const value = toBytes(encodeInboxMessage, message);
    const operation: RowOperation = { operation: { case: "upsert", value: { row, value } } };
    return { sequence: message.sequence, bytes: row.length + value.length, operation };
  });
  return { conversation: Buffer.from(conversationId), rows };
}

export interface DeliveryChange {
  readonly change: TableChange;
  readonly bytes: number;
}

/** The change that a target's range asks for: its rows, and the mark raised over them. */
export function deliveryChange(
  encoded: EncodedRows,
  range: Pick<DeliveryTarget, "fromSequence" | "throughSequence" | "allowSkip">,
): DeliveryChange {
  const { fromSequence: from, throughSequence: to, allowSkip } = range;
  const rows = encoded.rows.filter((row) => row.sequence > from && row.sequence <= to);
  const mark = { name: encoded.conversation, from, to, allowSkip };
  return {
    change: {
      guards: [{ guard: { case: "mark", value: mark } }],
      operations: rows.map((row) => row.operation),
    },
    bytes: rows.reduce((sum, row) => sum + row.bytes, mark.name.length),
  };
}

/** A stored row as data access hands it out; undefined for one that is gone or of another kind. */
export function readRow(row: VersionedRow): InboxRow | undefined {
  if (row.deleted) return undefined;
  const { version, value } = row;
  switch (Buffer.from(row.row.subarray(0, COMMITTED.length)).toString("latin1")) {
    case DELIVERED:
      return { version, row: { case: "delivered", value: fromBytes(decodeInboxMessage, value) } };
    case COMMITTED:
      return { version, row: { case: "committed", value: readCommitted(value) } };
    default:
      return undefined;
  }
}
