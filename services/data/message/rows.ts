/**
 * What lies in the table of a 1:1 conversation, by row key:
 *
 *   q/<8 bytes sequence>  the message, without its number: the key has it
 *   i/<message id>        when it was numbered, as 8 bytes; 1 byte in rows of before, which did not say
 *
 * The store remembers which message ids it has numbered. Ids and index rows outlive the messages of a
 * user who is gone: the other one's own messages still have their numbers. Versions of before find
 * these by the index row, which is of the version that wrote the message.
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
import { fromBytes, NO_BYTES, toBytes } from "../../svrkit/codec.ts";
import { newOperationId } from "../../svrkit/operation-id.ts";
import { hasBug } from "../../svrkit/planted.ts";
import { sequenceKey, sequenceOf } from "../sequence-key.ts";
import { committedAt, numbered, takenBack } from "./client.ts";

const MESSAGES = Buffer.from("q/");
const MESSAGES_END = Buffer.from("q0");
const INDEX = "i/";
const INDEX_ROWS = Buffer.from(INDEX);
/** What a conversation forgets: its messages, and what keeps one from being numbered again. */
export const MESSAGE_KIND = { rowPrefix: MESSAGES, appendIds: false };
export const INDEX_KIND = { rowPrefix: INDEX_ROWS, appendIds: false };
export const ID_KIND = { rowPrefix: Buffer.alloc(0), appendIds: true };

export function conversationKey(conversationId: string): Key {
  return { keyspace: Keyspace.MESSAGE, key: Buffer.from(conversationId) };
}

export function indexRowKey(messageId: string): Buffer {
  return Buffer.from(INDEX + messageId);
}

/** A recall leaves of what it takes back its place. */
export function appendChange(message: CommittedMessage, nowMs: number): TableChange {
  const value = toBytes(encodeInboxMessage, numbered(message, 0));
  const id = hasBug("numbered-twice") ? newOperationId() : Buffer.from(message.messageId);
  const index = { row: indexRowKey(message.messageId), value: sequenceKey(NO_BYTES, nowMs) };
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

/** When a row was written, milliseconds since 1970; undefined when it does not say. */
export function timeOf(row: VersionedRow): number | undefined {
  if (isMessageRow(row)) return committedAt(readMessage(row));
  const isTimed = row.value.length === 8 && INDEX_ROWS.equals(row.row.subarray(0, INDEX.length));
  return isTimed ? sequenceOf(row.value) : undefined;
}

export function isMessageRow(row: VersionedRow): boolean {
  return !row.deleted && row.row[0] === MESSAGES[0] && row.row[1] === MESSAGES[1];
}
