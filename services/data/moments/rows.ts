/**
 * What lies in the moments keyspace, each a table:
 *
 *   author/<user>      `p/<time><mark>` its moments · `i/<client id>` their ids · `w/<moment>` open deliveries
 *                      · `k/<user>` who was told to pull · `a/<moment>` what the user liked or commented on
 *   moment/<moment>    `l/<user>` likes · `c/<number>` comments
 *   timeline/<user>    `t/<time><moment>` moments to see · `f/<user>` authors to pull from
 *   open/<share>       `<user>` authors with open deliveries
 *
 * Times are 8 bytes big-endian, so the order of rows is the order of time.
 */
import type { Moment } from "../../../protos/gen/tricampus/client/v1/moments_codec.ts";
import {
  decodeOpenDelivery,
  decodeStoredComment,
  decodeStoredMoment,
  encodeOpenDelivery,
  encodeStoredComment,
  encodeStoredMoment,
  type OpenDelivery,
  type StoredComment,
  type StoredMoment,
} from "../../../protos/gen/tricampus/data/v1/moments_codec.ts";
import {
  type Key,
  Keyspace,
  type RowOperation,
  type VersionedRow,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { fromBytes, toBytes } from "../../svrkit/codec.ts";
import { sequenceKey, sequenceOf } from "../sequence-key.ts";
import { type MomentName, parseMomentId, timelineTable } from "./client.ts";

const PRESENT = Buffer.from([1]);
const TIME_BYTES = 8;

const tableKey = (name: string): Key => ({ keyspace: Keyspace.MOMENTS, key: Buffer.from(name) });

export const authorKey = (userId: string): Key => tableKey(`author/${userId}`);
export const momentKey = (momentId: string): Key => tableKey(`moment/${momentId}`);
export const timelineKey = (userId: string): Key => tableKey(timelineTable(userId));
export const openKey = (share: number): Key => tableKey(`open/${share}`);

const named = (kind: string, name: string): Buffer => Buffer.from(`${kind}/${name}`);

export const idRow = (clientMomentId: string): Buffer => named("i", clientMomentId);
export const openRow = (momentId: string): Buffer => named("w", momentId);
export const toldRow = (userId: string): Buffer => named("k", userId);
export const actRow = (momentId: string): Buffer => named("a", momentId);
export const likeRow = (userId: string): Buffer => named("l", userId);
export const pullRow = (authorId: string): Buffer => named("f", authorId);
export const COMMENT_PREFIX = Buffer.from("c/");
export const commentRow = (number: number): Buffer => sequenceKey(COMMENT_PREFIX, number);

export const POSTS = Buffer.from("p/");
export const TIMED = Buffer.from("t/");

/** Of one letter: all rows of a kind. */
export function rowsOf(kind: string): { first: Buffer; end: Buffer } {
  return { first: Buffer.from(`${kind}/`), end: Buffer.from(`${kind}0`) };
}

export function postRow({ atMs, mark }: Pick<MomentName, "atMs" | "mark">): Buffer {
  return Buffer.concat([sequenceKey(POSTS, atMs), Buffer.from(mark)]);
}

export function timelineRow(momentId: string): Buffer {
  return Buffer.concat([sequenceKey(TIMED, parseMomentId(momentId)!.atMs), Buffer.from(momentId)]);
}

/** Where older ones than a time begin, counted down. */
export function beforeTime(prefix: Buffer, atMs: number): Buffer {
  return sequenceKey(prefix, atMs);
}

export function momentIdOfTimelineRow(row: Uint8Array): string {
  return Buffer.from(row.subarray(TIMED.length + TIME_BYTES)).toString();
}

export function nameOfPostRow(authorId: string, row: Uint8Array): MomentName {
  const end = POSTS.length + TIME_BYTES;
  const mark = Buffer.from(row.subarray(end)).toString();
  return { authorId, atMs: sequenceOf(row.subarray(0, end)), mark };
}

export function nameInRow(row: Uint8Array): string {
  return Buffer.from(row.subarray(2)).toString();
}

export function upsert(row: Buffer, value: Uint8Array = PRESENT): RowOperation {
  return { operation: { case: "upsert", value: { row, value } } };
}

export function remove(row: Buffer): RowOperation {
  return { operation: { case: "delete", value: row } };
}

export const momentBytes = (moment: StoredMoment) => toBytes(encodeStoredMoment, moment);
export const deliveryBytes = (delivery: OpenDelivery) => toBytes(encodeOpenDelivery, delivery);
export const commentBytes = (comment: StoredComment) => toBytes(encodeStoredComment, comment);

export const readMoment = (row: VersionedRow): StoredMoment =>
  fromBytes(decodeStoredMoment, row.value);
export const readDelivery = (row: VersionedRow): OpenDelivery =>
  fromBytes(decodeOpenDelivery, row.value);
export const readComment = (row: VersionedRow): StoredComment =>
  fromBytes(decodeStoredComment, row.value);

/** As its viewers get it, without likes and comments. */
export function shownMoment(momentId: string, stored: StoredMoment, toAuthor: boolean): Moment {
  const { text, imageIds, postedAtMs, visibility } = stored;
  return {
    ...{ momentId, authorId: parseMomentId(momentId)!.authorId, text, imageIds, postedAtMs },
    visibility: toAuthor ? visibility : undefined,
    ...{ likedBy: [], comments: [] },
  };
}
