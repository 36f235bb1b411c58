/**
 * What lies in the table of a 1:1 conversation, by row key:
 *
 *   q/<8 bytes sequence>  the message, without its number: the key has it
 *   i/<message id>        an index row, written in the same change
 *
 * The store numbers the message while it applies the change, so the index row cannot hold the
 * number. It need not: both rows carry the version of the change that wrote them, and a scan from
 * there finds the number.
 */
import {
  decodeInboxMessage,
  encodeInboxMessage,
  type InboxMessage,
} from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import type { CommittedMessage } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import {
  type Key,
  Keyspace,
  type RowOperation,
  type TableChange,
  type VersionedRow,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { fromBytes, toBytes } from "../../svrkit/codec.ts";
import { newOperationId } from "../../svrkit/operation-id.ts";
import { hasBug } from "../../svrkit/planted.ts";
import { sequenceKey, sequenceOf } from "../sequence-key.ts";
import { numbered, takenBack } from "./client.ts";

const MESSAGES = Buffer.from("q/");
const MESSAGES_END = Buffer.from("q0");
const INDEX = "i/";
/** Everything that a conversation forgets by age, together. */
export const FORGOTTEN_KINDS = [
  { rowPrefix: MESSAGES, appendIds: false },
  { rowPrefix: Buffer.from(INDEX), appendIds: false },
  { rowPrefix: Buffer.alloc(0), appendIds: true },
];
/** A row's value is never empty. */
const PRESENT = Buffer.from([1]);

export function conversationKey(conversationId: string): Key {
  return { keyspace: Keyspace.MESSAGE, key: Buffer.from(conversationId) };
}

export function indexRowKey(messageId: string): Buffer {
  return Buffer.from(INDEX + messageId);
}

/** A recall leaves of what it takes back its place. */
export function appendChange(message: CommittedMessage): TableChange {
  const value = toBytes(encodeInboxMessage, numbered(message, 0));
  const id = hasBug("numbered-twice") ? newOperationId() : Buffer.from(message.messageId);
  const index = { row: indexRowKey(message.messageId), value: PRESENT };
  const operations: RowOperation[] = [
    { operation: { case: "append", value: { id, prefix: MESSAGES, value } } },
    { operation: { case: "insertIfAbsent", value: index } },
  ];
  const { takesBack } = message;
  if (takesBack !== undefined) {
    const row = sequenceKey(MESSAGES, takesBack.sequence);
    const place = { ...takenBack(takesBack), sequence: 0 };
    const left = { row, value: toBytes(encodeInboxMessage, place) };
    operations.push({ operation: { case: "upsert", value: left } });
  }
  return { guards: [], operations };
}

/** Row keys of the messages above a sequence number. */
export function messagesAfter(sequence: number): { first: Buffer; end: Buffer } {
  return { first: sequenceKey(MESSAGES, sequence + 1), end: MESSAGES_END };
}

/** Row keys of the messages below a sequence number. */
export function messagesBefore(sequence: number): { first: Buffer; end: Buffer } {
  return { first: MESSAGES, end: sequenceKey(MESSAGES, sequence) };
}

export function readMessage(row: VersionedRow): InboxMessage {
  return { ...fromBytes(decodeInboxMessage, row.value), sequence: sequenceOf(row.row) };
}

export function isMessageRow(row: VersionedRow): boolean {
  return !row.deleted && row.row[0] === MESSAGES[0] && row.row[1] === MESSAGES[1];
}
