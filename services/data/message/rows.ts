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
  type TableChange,
  type VersionedRow,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { fromBytes, toBytes } from "../../svrkit/codec.ts";
import { sequenceKey, sequenceOf } from "../sequence-key.ts";

const MESSAGES = Buffer.from("q/");
const MESSAGES_END = Buffer.from("q0");
const INDEX = "i/";
/** A row's value is never empty. */
const PRESENT = Buffer.from([1]);

export function conversationKey(conversationId: string): Key {
  return { keyspace: Keyspace.MESSAGE, key: Buffer.from(conversationId) };
}

export function indexRowKey(messageId: string): Buffer {
  return Buffer.from(INDEX + messageId);
}

export function appendChange(message: CommittedMessage): TableChange {
  const { messageId, conversationId, senderId, clientMessageId, text, acceptedAtMs } = message;
  const value = toBytes(encodeInboxMessage, {
    ...{ messageId, conversationId, senderId, clientMessageId, text, acceptedAtMs },
    sequence: 0,
    notice: undefined,
  });
  const id = Buffer.from(messageId);
  const index = { row: indexRowKey(messageId), value: PRESENT };
  return {
    guards: [],
    operations: [
      { operation: { case: "append", value: { id, prefix: MESSAGES, value } } },
      { operation: { case: "insertIfAbsent", value: index } },
    ],
  };
}

/** Row keys of the messages above a sequence number. */
export function messagesAfter(sequence: number): { first: Buffer; end: Buffer } {
  return { first: sequenceKey(MESSAGES, sequence + 1), end: MESSAGES_END };
}

export function readMessage(row: VersionedRow): InboxMessage {
  return { ...fromBytes(decodeInboxMessage, row.value), sequence: sequenceOf(row.row) };
}

export function isMessageRow(row: VersionedRow): boolean {
  return !row.deleted && row.row[0] === MESSAGES[0] && row.row[1] === MESSAGES[1];
}
