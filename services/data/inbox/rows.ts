/**
 * What lies in a user's inbox table, by row key:
 *
 *   s/<client message id>                what the user sent, as committed (M1)
 *   m/<conversation>/<8 bytes sequence>  what was delivered to the user
 *   c/...                                what its devices share about conversations (settings.ts)
 *   g/<group>                            the user is a member of the group
 *
 * and one mark per conversation: the sequence number up to which it was delivered (M2). The table's
 * version is the user's message sequence.
 *
 * What a delivered message means for other rows is done in the change that delivers it, under the same
 * mark: a recall deletes the row of what it takes back, and notices of joins and leaves write or delete
 * the user's membership.
 */
import {
  decodeGroupMembership,
  decodeInboxMessage,
  encodeGroupMembership,
  encodeInboxMessage,
  type InboxMessage,
} from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  type CommittedMessage,
  type DeliveryTarget,
  decodeCommittedMessage,
  encodeCommittedMessage,
  type InboxRow,
  makeCommittedMessage,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import {
  type Key,
  Keyspace,
  type RowOperation,
  type TableChange,
  type VersionedRow,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { fromBytes, toBytes } from "../../svrkit/codec.ts";
import { hasBug } from "../../svrkit/planted.ts";
import { sequenceKey } from "../sequence-key.ts";
import { isMemberAfter } from "./client.ts";
import { readSetting, SETTINGS } from "./settings.ts";

const COMMITTED = "s/";
const DELIVERED = "m/";
const MEMBERSHIP = "g/";
const KIND_BYTES = COMMITTED.length;

/** Prefixes of the rows that are forgotten when they are old. */
export const ROW_KINDS = { committed: Buffer.from(COMMITTED), delivered: Buffer.from(DELIVERED) };

export function inboxKey(userId: string): Key {
  return { keyspace: Keyspace.INBOX, key: Buffer.from(userId) };
}

export function committedRowKey(clientMessageId: string): Buffer {
  return Buffer.from(COMMITTED + clientMessageId);
}

/** A recall leaves of the sender's own earlier message its place. */
export function commitChange(message: CommittedMessage): TableChange {
  const isKeyedAnew = hasBug("client-id-ignored");
  const row = committedRowKey(isKeyedAnew ? message.messageId : message.clientMessageId);
  const value = toBytes(encodeCommittedMessage, message);
  const insert: RowOperation = { operation: { case: "insertIfAbsent", value: { row, value } } };
  const left = ownTakenBack(message);
  if (left === undefined) return { guards: [], operations: [insert] };
  const place = {
    row: committedRowKey(left.clientMessageId),
    value: toBytes(encodeCommittedMessage, left),
  };
  return { guards: [], operations: [insert, { operation: { case: "upsert", value: place } }] };
}

function ownTakenBack(recall: CommittedMessage): CommittedMessage | undefined {
  const { takesBack, senderId, conversationId, recipientId } = recall;
  if (takesBack === undefined || takesBack.senderId !== senderId) return undefined;
  const { messageId, clientMessageId, acceptedAtMs, committedAtMs } = takesBack;
  return makeCommittedMessage({
    ...{ messageId, conversationId, clientMessageId, senderId, recipientId, acceptedAtMs },
    ...{ committedAtMs, recalled: true },
  });
}

export function readCommitted(value: Uint8Array): CommittedMessage {
  return fromBytes(decodeCommittedMessage, value);
}

export function deliveredRowKey(conversationId: string, sequence: number): Buffer {
  return sequenceKey(Buffer.from(`${DELIVERED}${conversationId}/`), sequence);
}

/** Messages of one conversation, each encoded once for however many inboxes get it. */
export interface EncodedRows {
  readonly conversationId: string;
  readonly conversation: Buffer;
  readonly rows: readonly EncodedRow[];
}

interface EncodedRow {
  readonly sequence: number;
  readonly bytes: number;
  readonly operations: readonly RowOperation[];
  readonly message: InboxMessage;
}

export function encodeRows(conversationId: string, messages: readonly InboxMessage[]): EncodedRows {
  const prefix = Buffer.from(`${DELIVERED}${conversationId}/`);
  const rows = messages.map((message): EncodedRow => {
    const row = sequenceKey(prefix, message.sequence);
    const value = toBytes(encodeInboxMessage, message);
    const operations: RowOperation[] = [{ operation: { case: "upsert", value: { row, value } } }];
    const { content } = message;
    if (content?.body?.case === "recall") {
      const recalled = sequenceKey(prefix, content.body.value.sequence);
      operations.push({ operation: { case: "delete", value: recalled } });
    }
    return { sequence: message.sequence, bytes: row.length + value.length, operations, message };
  });
  return { conversationId, conversation: Buffer.from(conversationId), rows };
}

/** Whether a notice among these messages is about this very user's membership. */
export function concernsMembership({ rows }: EncodedRows, userId: string): boolean {
  return rows.some(({ message: { notice } }) => notice !== undefined && notice.userId === userId);
}

function membershipOperation(
  groupId: string,
  message: InboxMessage,
  userId: string,
): readonly RowOperation[] {
  const after = isMemberAfter(message, userId);
  if (after === undefined) return [];
  const row = Buffer.from(MEMBERSHIP + groupId);
  if (!after) return [{ operation: { case: "delete", value: row } }];
  const value = toBytes(encodeGroupMembership, { groupId, sinceSequence: message.sequence });
  return [{ operation: { case: "upsert", value: { row, value } } }];
}

export interface DeliveryChange {
  readonly change: TableChange;
  readonly bytes: number;
}

/** The change that a target's range asks for: its rows, and the mark raised over them. */
export function deliveryChange(encoded: EncodedRows, target: DeliveryTarget): DeliveryChange {
  const { userId, fromSequence: from, throughSequence: to, allowSkip } = target;
  const rows = encoded.rows.filter((row) => row.sequence > from && row.sequence <= to);
  const skips = allowSkip || hasBug("mark-skips");
  const mark = { name: encoded.conversation, from, to, allowSkip: skips };
  const operations = rows.flatMap(({ operations: own, message }) =>
    message.notice === undefined
      ? own
      : [...own, ...membershipOperation(encoded.conversationId, message, userId)],
  );
  return {
    change: { guards: [{ guard: { case: "mark", value: mark } }], operations },
    bytes: rows.reduce((sum, row) => sum + row.bytes, mark.name.length),
  };
}

/** A stored row as data access hands it out; undefined for one that is gone or of another kind. */
export function readRow(row: VersionedRow): InboxRow | undefined {
  const { version, value } = row;
  const kind = textOf(row.row.subarray(0, KIND_BYTES));
  if (kind === MEMBERSHIP) {
    const groupId = textOf(row.row.subarray(KIND_BYTES));
    const membership = row.deleted
      ? { groupId, sinceSequence: 0 }
      : fromBytes(decodeGroupMembership, value);
    return { version, row: { case: "membership", value: membership } };
  }
  if (row.deleted) return undefined;
  switch (kind) {
    case DELIVERED:
      return { version, row: { case: "delivered", value: fromBytes(decodeInboxMessage, value) } };
    case COMMITTED:
      return { version, row: { case: "committed", value: readCommitted(value) } };
    case SETTINGS:
      return { version, row: { case: "setting", value: readSetting(value) } };
    default:
      return undefined;
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
