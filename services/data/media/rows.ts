/**
 * What lies in the media keyspace:
 *
 *   medium/<media id>   a table: `f` what it is · `g/<conversation>`, `g/*` who may see it besides its owner
 *                       · `k/<moment>` which of its owner's moments show it
 *   user/<user>         a table: `m/<media id>` what is the user's · `t` how much that is
 *
 * A user's row is written before the medium's, so what is somebody's is always found in its table.
 */
import {
  decodeMediaFacts,
  decodeMediaTotals,
  decodeOwnedMedia,
  encodeMediaFacts,
  encodeMediaTotals,
  encodeOwnedMedia,
  type MediaFacts,
  type MediaTotals,
  type OwnedMedia,
} from "../../../protos/gen/tricampus/data/v1/media_codec.ts";
import {
  type Key,
  Keyspace,
  type RowOperation,
  type VersionedRow,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { fromBytes, toBytes } from "../../svrkit/codec.ts";
import { mediaTableOf } from "./client.ts";

export const FACTS_ROW = Buffer.from("f");
export const TOTALS_ROW = Buffer.from("t");
export const EVERYBODY = "*";
const PRESENT = Buffer.from([1]);

export const KEEP_ROWS = { first: Buffer.from("k/"), end: Buffer.from("k0") };
export const OWNED_ROWS = { first: Buffer.from("m/"), end: Buffer.from("m0") };

export function mediumKey(mediaId: string): Key {
  return { keyspace: Keyspace.MEDIA, key: Buffer.from(`medium/${mediaId}`) };
}

export function mediaOfKey(userId: string): Key {
  return { keyspace: Keyspace.MEDIA, key: Buffer.from(mediaTableOf(userId)) };
}

export function ownedRow(mediaId: string): Buffer {
  return Buffer.from(`m/${mediaId}`);
}

export function grantRow(conversationId: string): Buffer {
  return Buffer.from(`g/${conversationId}`);
}

export function keepOperation(moment: string, kept: boolean): RowOperation {
  const row = Buffer.from(`k/${moment}`);
  return kept ? upsert(row, PRESENT) : { operation: { case: "delete", value: row } };
}

export function mediaIdOfRow(row: Uint8Array): string {
  return Buffer.from(row).toString().slice(2);
}

function upsert(row: Buffer, value: Uint8Array): RowOperation {
  return { operation: { case: "upsert", value: { row, value } } };
}

export function factsOperation(facts: MediaFacts): RowOperation {
  return upsert(FACTS_ROW, toBytes(encodeMediaFacts, facts));
}

/** The first one stands. */
export function newFactsOperation(facts: MediaFacts): RowOperation {
  const value = { row: FACTS_ROW, value: toBytes(encodeMediaFacts, facts) };
  return { operation: { case: "insertIfAbsent", value } };
}

export function grantOperation(conversationId: string): RowOperation {
  return upsert(grantRow(conversationId), PRESENT);
}

export function ownedOperation(mediaId: string, owned: OwnedMedia): RowOperation {
  return upsert(ownedRow(mediaId), toBytes(encodeOwnedMedia, owned));
}

export function totalsOperation(totals: MediaTotals): RowOperation {
  return upsert(TOTALS_ROW, toBytes(encodeMediaTotals, totals));
}

/** Kept for a while: what was decoded is a view into a frame. */
export function readFacts(row: VersionedRow): MediaFacts {
  return fromBytes(decodeMediaFacts, Buffer.from(row.value));
}

export function readOwned(row: VersionedRow): OwnedMedia {
  return fromBytes(decodeOwnedMedia, row.value);
}

export function readTotals(row: VersionedRow | undefined): MediaTotals {
  return row === undefined ? { bytes: 0, count: 0 } : fromBytes(decodeMediaTotals, row.value);
}

/** What an image was made of knows more than the image does: it is not kept. */
export function leftOver(facts: MediaFacts): Uint8Array[] {
  const kept = new Set(partsOf(facts).map(hexOf));
  return facts.parts.filter((hash) => !kept.has(hexOf(hash)));
}

const hexOf = (hash: Uint8Array) => Buffer.from(hash).toString("hex");

/** All parts that must be there: of what is served, or before that of what is uploaded. */
export function partsOf({ finished, body, thumbnail, parts }: MediaFacts): Uint8Array[] {
  return finished ? [...(body?.parts ?? []), ...(thumbnail?.parts ?? [])] : parts;
}
