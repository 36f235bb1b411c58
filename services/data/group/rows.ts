/**
 * What lies in a group's table, by row key:
 *
 *   p                     the profile; a table without it is no group
 *   u/<user>              a member
 *   i/<user>              an invitation that waits to be accepted
 *   q/<8 bytes sequence>  a message or notice, numbered
 *   o/<entry id>          what became of an entry of the group's queue stream
 *
 * and three marks: `queue`, the slot up to which the stream was worked off; `sequence`, the last
 * sequence number; `delivered`, up to where every member's inbox is filled.
 *
 * The worker numbers the messages itself instead of letting the store append them: it is fenced by
 * two marks, so nobody else numbers meanwhile, and a join can be recorded with its exact number in
 * the same change. The rows `o/` keep an entry that comes twice from being numbered twice.
 *
 * How far members have read lies in a table of its own (u/<user>, and a mark of that name, since a
 * position only rises): it changes as often as all of them read, and has no part in the order.
 */
import {
  decodeInboxMessage,
  encodeInboxMessage,
  type InboxMessage,
} from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  type ApplyEntriesRequest,
  type CreateGroupDataRequest,
  decodeEntryOutcome,
  decodeGroupInviteRecord,
  decodeGroupMemberRecord,
  decodeGroupProfile,
  decodeGroupReadPosition,
  type EntryOutcome,
  EntryOutcomeRefusal,
  encodeEntryOutcome,
  encodeGroupInviteRecord,
  encodeGroupMemberRecord,
  encodeGroupProfile,
  encodeGroupReadPosition,
  type GroupInviteRecord,
  type GroupMemberRecord,
  type GroupProfile,
  type GroupReadPosition,
  makeGroupMemberRecord,
  makeGroupProfile,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import {
  type Guard,
  type Key,
  Keyspace,
  type RowOperation,
  type TableChange,
  type VersionedRow,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { fromBytes, toBytes } from "../../svrkit/codec.ts";
import { sequenceKey } from "../sequence-key.ts";

const MESSAGES = Buffer.from("q/");
const MESSAGES_END = Buffer.from("q0");
const MEMBER = "u/";
const OUTCOME = "o/";
const INVITE = "i/";
const READS = "/reads";

/** Prefixes of the rows that are forgotten when they are old. */
export const ROW_KINDS = { messages: MESSAGES, outcomes: Buffer.from(OUTCOME) };
export const PROFILE_ROW = Buffer.from("p");
export const MEMBER_ROWS = { first: Buffer.from(MEMBER), end: Buffer.from("u0") };
export const INVITE_ROWS = { first: Buffer.from(INVITE), end: Buffer.from("i0") };
export const QUEUE_MARK = Buffer.from("queue");
const SEQUENCE_MARK = Buffer.from("sequence");
const DELIVERED_MARK = Buffer.from("delivered");
export const MARKS = [QUEUE_MARK, SEQUENCE_MARK, DELIVERED_MARK];

/** Members of a new group belong to it from its first sequence number on. */
const FIRST_SEQUENCE = 1;

export function groupKey(groupId: string): Key {
  return { keyspace: Keyspace.GROUP, key: Buffer.from(groupId) };
}

/** The table of how far a group's members have read. */
export function readsKey(groupId: string): Key {
  return { keyspace: Keyspace.GROUP, key: Buffer.from(groupId + READS) };
}

export function memberRowKey(userId: string): Buffer {
  return Buffer.from(MEMBER + userId);
}

export function outcomeRowKey(entryId: string): Buffer {
  return Buffer.from(OUTCOME + entryId);
}

export function messagesAfter(sequence: number): { first: Buffer; end: Buffer } {
  return { first: sequenceKey(MESSAGES, sequence + 1), end: MESSAGES_END };
}

export function messagesBefore(sequence: number): { first: Buffer; end: Buffer } {
  return { first: MESSAGES, end: sequenceKey(MESSAGES, sequence) };
}

export function createChange(request: CreateGroupDataRequest): TableChange {
  const { title, creatorId, createdAtMs, members } = request;
  const facts = { title, creatorId, createdAtMs, ownerId: creatorId };
  const profile = toBytes(encodeGroupProfile, makeGroupProfile(facts));
  const records = [...new Set([creatorId, ...members])].map((userId) =>
    upsertMember(makeGroupMemberRecord({ userId, sinceSequence: FIRST_SEQUENCE })),
  );
  return { guards: [absent(PROFILE_ROW)], operations: [upsert(PROFILE_ROW, profile), ...records] };
}

export function applyChange(request: ApplyEntriesRequest): TableChange {
  const { fromSlot, throughSlot, lastSequence, messages, deliveredSequence } = request;
  const outcomes = [...messages.map(numberedOutcome), ...request.refused];
  const guards = [
    mark(QUEUE_MARK, fromSlot, throughSlot),
    mark(SEQUENCE_MARK, lastSequence, lastSequence + messages.length),
    ...outcomes.map((outcome) => absent(outcomeRowKey(outcome.entryId))),
  ];
  if (deliveredSequence > 0) {
    // Behind or at: a worker that took over may have delivered, and noted, more already.
    guards.push(mark(DELIVERED_MARK, deliveredSequence, deliveredSequence, true));
  }
  const operations = [
    ...[...messages, ...request.recalled].map((message) =>
      upsert(sequenceKey(MESSAGES, message.sequence), toBytes(encodeInboxMessage, message)),
    ),
    ...outcomes.map((outcome) =>
      upsert(outcomeRowKey(outcome.entryId), toBytes(encodeEntryOutcome, outcome)),
    ),
    ...request.members.map(upsertMember),
    ...request.forgotten.map((userId) => remove(memberRowKey(userId))),
    ...request.invites.map((invite) =>
      upsert(inviteRowKey(invite.userId), toBytes(encodeGroupInviteRecord, invite)),
    ),
    ...request.uninvited.map((userId) => remove(inviteRowKey(userId))),
  ];
  if (request.profile !== undefined) {
    operations.push(upsert(PROFILE_ROW, toBytes(encodeGroupProfile, request.profile)));
  }
  return { guards, operations };
}

function numberedOutcome(message: InboxMessage): EntryOutcome {
  const { messageId: entryId, sequence } = message;
  return { entryId, done: true, sequence, refusal: EntryOutcomeRefusal.UNSPECIFIED, untilMs: 0 };
}

function mark(name: Buffer, from: number, to: number, allowSkip = false): Guard {
  return { guard: { case: "mark", value: { name, from, to, allowSkip } } };
}

function absent(row: Buffer): Guard {
  return { guard: { case: "row", value: { row, version: 0 } } };
}

function upsert(row: Buffer, value: Buffer): RowOperation {
  return { operation: { case: "upsert", value: { row, value } } };
}

function remove(row: Buffer): RowOperation {
  return { operation: { case: "delete", value: row } };
}

function inviteRowKey(userId: string): Buffer {
  return Buffer.from(INVITE + userId);
}

function upsertMember(member: GroupMemberRecord): RowOperation {
  return upsert(memberRowKey(member.userId), toBytes(encodeGroupMemberRecord, member));
}

/** Raises how far a user has read; changes nothing when it is so far already. */
export function readPositionChange(position: GroupReadPosition): TableChange {
  const { userId, sequence } = position;
  const row = memberRowKey(userId);
  return {
    guards: [mark(row, sequence - 1, sequence, true)],
    operations: [upsert(row, toBytes(encodeGroupReadPosition, position))],
  };
}

export function readReadPosition(value: Uint8Array): GroupReadPosition {
  return fromBytes(decodeGroupReadPosition, value);
}

/** Groups from before there was an owner belong to who made them. */
export function readProfile(value: Uint8Array): GroupProfile {
  const profile = fromBytes(decodeGroupProfile, value);
  return { ...profile, ownerId: profile.ownerId || profile.creatorId };
}

export function readInvite(value: Uint8Array): GroupInviteRecord {
  return fromBytes(decodeGroupInviteRecord, value);
}

export function readMember(value: Uint8Array): GroupMemberRecord {
  return fromBytes(decodeGroupMemberRecord, value);
}

export function readOutcome(value: Uint8Array): EntryOutcome {
  return fromBytes(decodeEntryOutcome, value);
}

export function isMessageRow(row: VersionedRow): boolean {
  return !row.deleted && row.row[0] === MESSAGES[0] && row.row[1] === MESSAGES[1];
}

export function readMessage(value: Uint8Array): InboxMessage {
  return fromBytes(decodeInboxMessage, value);
}
