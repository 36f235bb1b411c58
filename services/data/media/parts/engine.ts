/**
 * Where the bytes of media are: parts, each under its medium's id and its own SHA-256, so a part is
 * written once, by whoever has it, and never changes. engine.suite.ts says how engines behave.
 */
import { MEDIA_ID } from "../client.ts";

export interface PartEngine {
  /** true: every campus sees the same parts, and the engine keeps them through the loss of one. */
  readonly isShared: boolean;
  /** Durable when it resolves. Storing a part again is no harm. */
  put(mediaId: string, hash: Uint8Array, data: Uint8Array): Promise<void>;
  /** What was stored, damaged or not; undefined: it is not there. */
  get(mediaId: string, hash: Uint8Array): Promise<Buffer | undefined>;
  has(mediaId: string, hash: Uint8Array): Promise<boolean>;
  /** One part; that it is not there is no error. */
  remove(mediaId: string, hash: Uint8Array): Promise<void>;
  /** All parts of a medium. */
  drop(mediaId: string): Promise<void>;
  /** Ids of media that have parts, above `after`, in order; fewer than `limit` at the end. */
  list(after: string, limit: number): Promise<string[]>;
}

export const HASH_BYTES = 32;

/** Names reach disks and buckets: nothing but ids and hashes gets there. */
export function partName(mediaId: string, hash: Uint8Array): string {
  if (!MEDIA_ID.test(mediaId) || hash.length !== HASH_BYTES) {
    throw new RangeError("no part is named like that");
  }
  return Buffer.from(hash).toString("hex");
}

export function requireMediaName(mediaId: string): string {
  if (!MEDIA_ID.test(mediaId)) throw new RangeError("no medium is named like that");
  return mediaId;
}
