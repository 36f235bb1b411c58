/**
 * What lies in a user's contacts, by row key:
 *
 *   c/<user>   a contact
 *   r/<user>   who has asked to become one      o/<user>   whom the user has asked
 *   b/<user>   who is blocked
 *   t/<tag>    a tag
 *   p          whom the user lets do what
 *
 * The table's version is the contacts part of a snapshot. What concerns two users has its commit point
 * in the table of who does it: a request in o/, an answer in r/. Such a row is open until the other
 * side has it; whoever finds an open one carries it there again.
 */
import {
  type ContactChange,
  type ContactEntry,
  type ContactPolicy,
  type ContactRequest,
  ContactRequestState,
  type ContactTag,
  decodeContactEntry,
  decodeContactPolicy,
  decodeContactTag,
  encodeContactEntry,
  encodeContactPolicy,
  encodeContactTag,
} from "../../../protos/gen/tricampus/client/v1/contact_codec.ts";
import {
  decodeStoredContactRequest,
  encodeStoredContactRequest,
  type StoredContactRequest,
} from "../../../protos/gen/tricampus/data/v1/contact_codec.ts";
import {
  type Key,
  Keyspace,
  type RowOperation,
  type VersionedRow,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { fromBytes, toBytes } from "../../svrkit/codec.ts";
import { RpcError } from "../../svrkit/errors.ts";

export const POLICY_ROW = Buffer.from("p");
const PRESENT = Buffer.from([1]);

export interface RowRange {
  readonly first: Buffer;
  readonly end: Buffer;
}

export const ASKED_ROWS = { first: Buffer.from("o/"), end: Buffer.from("o0") };
export const CONTACT_ROWS = { first: Buffer.from("c/"), end: Buffer.from("c0") };
export const BLOCKED_ROWS = { first: Buffer.from("b/"), end: Buffer.from("b0") };

export const TAG_ROWS = { first: Buffer.from("t/"), end: Buffer.from("t0") };

export function contactsKey(userId: string): Key {
  return { keyspace: Keyspace.CONTACT, key: Buffer.from(userId) };
}

export function contactRow(userId: string): Buffer {
  return Buffer.from(`c/${userId}`);
}

export function requestRow(userId: string, incoming: boolean): Buffer {
  return Buffer.from(`${incoming ? "r" : "o"}/${userId}`);
}

export function blockedRow(userId: string): Buffer {
  return Buffer.from(`b/${userId}`);
}

export function readEntry(row: VersionedRow): ContactEntry {
  return fromBytes(decodeContactEntry, row.value);
}

export function readTag(row: VersionedRow): ContactTag {
  return fromBytes(decodeContactTag, row.value);
}

export function readPolicy(row: VersionedRow): ContactPolicy {
  return fromBytes(decodeContactPolicy, row.value);
}

export function readRequest(row: VersionedRow): StoredContactRequest {
  return fromBytes(decodeStoredContactRequest, row.value);
}

/** What a change writes or deletes. `open`: of a request. */
export function operationOf({ change }: ContactChange, open: boolean): RowOperation {
  switch (change?.case) {
    case "contact":
      return upsert(contactRow(change.value.userId), toBytes(encodeContactEntry, change.value));
    case "goneContact":
      return remove(contactRow(change.value));
    case "request":
      return requestOperation(change.value, open);
    case "blocked":
      return upsert(blockedRow(change.value), PRESENT);
    case "unblocked":
      return remove(blockedRow(change.value));
    case "tag":
      return upsert(
        Buffer.from(`t/${change.value.tagId}`),
        toBytes(encodeContactTag, change.value),
      );
    case "goneTag":
      return remove(Buffer.from(`t/${change.value}`));
    case "policy":
      return upsert(POLICY_ROW, toBytes(encodeContactPolicy, change.value));
    default:
      throw new RpcError("INVALID_ARGUMENT", "a change of contacts changes nothing");
  }
}

export function requestOperation(request: ContactRequest, open: boolean): RowOperation {
  const row = requestRow(request.userId, request.incoming);
  return upsert(row, toBytes(encodeStoredContactRequest, { request, open }));
}

function upsert(row: Buffer, value: Uint8Array): RowOperation {
  return { operation: { case: "upsert", value: { row, value } } };
}

function remove(row: Buffer): RowOperation {
  return { operation: { case: "delete", value: row } };
}

/** A stored row as devices get it; undefined for one that is gone without leaving a trace. */
export function readChange(stored: VersionedRow): ContactChange | undefined {
  const { deleted } = stored;
  const name = Buffer.from(stored.row).toString();
  const id = name.slice(2);
  switch (name.slice(0, 2)) {
    case "c/":
      return deleted
        ? { change: { case: "goneContact", value: id } }
        : { change: { case: "contact", value: readEntry(stored) } };
    case "r/":
    case "o/": {
      const request = deleted ? undefined : readRequest(stored).request;
      return request && { change: { case: "request", value: request } };
    }
    case "b/":
      return { change: { case: deleted ? "unblocked" : "blocked", value: id } };
    case "t/":
      return deleted
        ? { change: { case: "goneTag", value: id } }
        : { change: { case: "tag", value: readTag(stored) } };
    default:
      return deleted ? undefined : { change: { case: "policy", value: readPolicy(stored) } };
  }
}

/** The user on the other side of a request that may not have reached it. */
export function openRequestOf(stored: VersionedRow): string | undefined {
  const kind = Buffer.from(stored.row.subarray(0, 2)).toString();
  if (stored.deleted || (kind !== "r/" && kind !== "o/")) return undefined;
  const { request, open } = readRequest(stored);
  return open ? request?.userId : undefined;
}

/** Users that rows are about. */
export function othersIn(rows: readonly VersionedRow[]): ReadonlySet<string> {
  const names = rows.map(({ row }) => Buffer.from(row).toString());
  return new Set(names.filter((name) => /^[crob]\//.test(name)).map((name) => name.slice(2)));
}

/** Whom a change makes a contact, or may make one when the other side answers. */
export function contactToBe(change: ContactChange["change"]): string | undefined {
  if (change?.case === "contact") return change.value.userId;
  return change?.case === "request" && isWaiting(change.value) ? change.value.userId : undefined;
}

/** Of a row of contacts, blocked users or requests: the user that counts against a limit. */
export function userThatCounts(stored: VersionedRow): string | undefined {
  const name = Buffer.from(stored.row).toString();
  if (!name.startsWith("o/")) return name.slice(2);
  const { request } = readRequest(stored);
  return request !== undefined && isWaiting(request) ? request.userId : undefined;
}

function isWaiting({ incoming, state }: ContactRequest): boolean {
  return !incoming && state === ContactRequestState.PENDING;
}
