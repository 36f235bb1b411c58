/** What other services know of media: how they are named, cut, described and addressed. */
import { createHash } from "node:crypto";
import type { MediaInfo } from "../../../protos/gen/tricampus/client/v1/media_codec.ts";
import type { MediaFacts } from "../../../protos/gen/tricampus/data/v1/media_codec.ts";

/** Bytes of a part, but the last: fits into the frame of a client with everything around it. */
export const PART_BYTES = 512 * 1024;

export const MEDIA_ID = /^[0-9a-f]{64}$/;

export function hashOf(data: Uint8Array): Buffer {
  return createHash("sha256").update(data).digest();
}

type Named = Pick<MediaFacts, "ownerId" | "kind" | "mime" | "bytes" | "parts">;

/**
 * Content-addressed within what is its owner's: the same upload has the same id, nobody can ask whether
 * somebody else has a certain file, and an id says nothing about what it names.
 */
export function mediaIdOf({ ownerId, kind, mime, bytes, parts }: Named): string {
  const hash = createHash("sha256").update(JSON.stringify([1, ownerId, kind, mime, bytes]));
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

export function infoOf(facts: MediaFacts): MediaInfo {
  const { mediaId, kind, name, durationMs, body, thumbnail } = facts;
  const { mime, bytes, width, height } = body ?? { ...facts, width: 0, height: 0 };
  return {
    ...{ mediaId, kind, mime, bytes, width, height, durationMs, name },
    thumbnail: thumbnail && {
      ...{ mime: thumbnail.mime, bytes: thumbnail.bytes },
      ...{ width: thumbnail.width, height: thumbnail.height },
    },
  };
}

const USER_KEY = "user/";

export function mediaTableOf(userId: string): string {
  return USER_KEY + userId;
}

/** Whose media a table of the keyspace lists; undefined: it is a medium's. */
export function mediaOwnerOf(table: string): string | undefined {
  return table.startsWith(USER_KEY) ? table.slice(USER_KEY.length) : undefined;
}

/** An address: "/v1/media/<id>/whole?until=<ms>&seal=<base64url>". */
export interface SealedAddress {
  readonly mediaId: string;
  readonly thumbnail: boolean;
  readonly expiresAtMs: number;
  readonly seal: Uint8Array;
}

const WHOLE = "whole";
const THUMBNAIL = "thumbnail";
const SEAL = /^[\w-]{1,64}$/;
const UNTIL = /^[0-9]{1,15}$/;

export function pathOf({ mediaId, thumbnail, expiresAtMs, seal }: SealedAddress): string {
  const text = Buffer.from(seal).toString("base64url");
  const what = thumbnail ? THUMBNAIL : WHOLE;
  return `/v1/media/${mediaId}/${what}?until=${expiresAtMs}&seal=${text}`;
}

/** Undefined: this is no address of a medium. */
export function parseAddress(
  { mediaId, what }: { readonly mediaId: string; readonly what: string },
  { until, seal }: { readonly until?: unknown; readonly seal?: unknown },
): SealedAddress | undefined {
  if (typeof until !== "string" || typeof seal !== "string") return undefined;
  if (!UNTIL.test(until) || !SEAL.test(seal) || !MEDIA_ID.test(mediaId)) return undefined;
  if (what !== WHOLE && what !== THUMBNAIL) return undefined;
  const thumbnail = what === THUMBNAIL;
  return { mediaId, thumbnail, expiresAtMs: Number(until), seal: Buffer.from(seal, "base64url") };
}
