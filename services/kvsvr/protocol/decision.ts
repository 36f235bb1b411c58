/**
 * Decisions: what one version of a key or table is. A proposer seals one; from then on its bytes are
 * hashed, voted on, logged, sent and stored as they are, and nobody encodes them again.
 *
 * Digests have 53 bits. Reads, Prepare, notices and comparison speak versions and digests only (S1).
 * A table's delta holds the digest of the version before, so equal digests mean equal histories. Two
 * murmur3 hashes: digests tell apart what honest replicas decided; they do not keep forgers out.
 */
import {
  decodeKeyState,
  decodeOwner,
  decodeTableDelta,
  encodeDecision,
  type KeyState,
  type Owner,
  type TableDelta,
  type Decision as WireDecision,
} from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { CodecError, Reader, skipField, Writer } from "../../svrkit/codec.ts";
import { murmur3 } from "../../svrkit/murmur3.ts";
import { NO_OWNER } from "./ballot.ts";

export type Body = NonNullable<WireDecision["body"]>;

/** Tags of Decision's fields: number x 8 + wire type. */
const VERSION_TAG = (1 << 3) | 0;
const OWNER_TAG = (2 << 3) | 2;
const KEY_TAG = (3 << 3) | 2;
const TABLE_TAG = (4 << 3) | 2;
const DIGEST_TAG = (5 << 3) | 0;
/** Tag of TableDelta's field. */
const BASE_DIGEST_TAG = (4 << 3) | 0;
/** Two hashes of 32 and 21 bits make one safe integer. */
const LOW_BITS = 21;

/** Most decisions are passed on, stored and replaced unread: the body is decoded when asked for. */
export class Decision {
  readonly version: number;
  readonly owner: Owner;
  readonly digest: number;
  readonly model: "key" | "table";
  /** The encoded message, digest included. Owned: it holds no network buffer. */
  readonly bytes: Buffer;
  readonly #bodyAt: number;
  readonly #bodyEnd: number;

  /** Throws CodecError when `bytes` are not a decision. */
  constructor(bytes: Buffer) {
    let version = 0;
    let owner = NO_OWNER;
    let digest = 0;
    let bodyTag = 0;
    let bodyEnd = 0;
    let bodyAt = 0;
    const r = new Reader(bytes);
    while (r.pos < r.end) {
      const tag = r.uint32();
      if (tag === VERSION_TAG) version = r.uint64();
      else if (tag === OWNER_TAG) owner = decodeOwner(r, r.message());
      else if (tag === KEY_TAG || tag === TABLE_TAG) {
        bodyTag = tag;
        bodyEnd = r.message();
        bodyAt = r.pos;
        r.pos = bodyEnd;
      } else if (tag === DIGEST_TAG) digest = r.uint64();
      else skipField(r, tag);
    }
    r.finish(r.end);
    if (bodyTag === 0 || version === 0 || digest === 0)
      throw new CodecError("a decision without version, body or digest");
    this.version = version;
    this.owner = owner;
    this.digest = digest;
    this.model = bodyTag === KEY_TAG ? "key" : "table";
    this.bytes = bytes;
    this.#bodyAt = bodyAt;
    this.#bodyEnd = bodyEnd;
  }

  /** The state of a key, views into `bytes`; only for the key model. */
  get key(): KeyState {
    return decodeKeyState(new Reader(this.bytes, this.#bodyAt), this.#bodyEnd);
  }

  /** What the version changes in its table, views into `bytes`; only for the table model. */
  get delta(): TableDelta {
    return decodeTableDelta(new Reader(this.bytes, this.#bodyAt), this.#bodyEnd);
  }

  /** The delta's, found without reading its rows. */
  get baseDigest(): number {
    const r = new Reader(this.bytes, this.#bodyAt, this.#bodyEnd);
    while (r.pos < r.end) {
      const tag = r.uint32();
      if (tag === BASE_DIGEST_TAG) return r.uint64();
      skipField(r, tag);
    }
    return 0;
  }
}

const scratch = new Writer(4096);

/** Encodes and hashes a decision; the caller's value is copied. */
export function sealDecision(version: number, owner: Owner, body: Body): Decision {
  const w = scratch;
  w.pos = 0;
  encodeDecision(w, { version, owner, body, digest: 0 });
  const digest = hash(w.buffer.subarray(0, w.pos));
  w.tag(DIGEST_TAG);
  w.uint64(digest);
  return openDecision(w.buffer.subarray(0, w.pos));
}

/** The digest of what a decision's bytes say, whatever digest they name. */
export function recomputedDigest({ bytes, digest }: Decision): number {
  scratch.pos = 0;
  scratch.tag(DIGEST_TAG);
  scratch.uint64(digest);
  return hash(bytes.subarray(0, bytes.length - scratch.pos));
}

/** Of a key without a record, at this version (absent.ts); 0 of version 0, as of what was never written. */
export function absentDigest(version: number): number {
  return version === 0 ? 0 : hash(Buffer.from(`absent ${version}`));
}

function hash(bytes: Uint8Array): number {
  const low = murmur3(bytes, 2) & ((1 << LOW_BITS) - 1);
  const digest = murmur3(bytes, 1) * (1 << LOW_BITS) + low;
  return digest === 0 ? 1 : digest;
}

/** Reads an encoded decision into bytes of its own; throws CodecError when it is not one. */
export function openDecision(encoded: Uint8Array): Decision {
  return new Decision(Buffer.from(encoded));
}

/** The same without a copy: for bytes that nobody changes as long as it is held. */
export function viewDecision({ buffer, byteOffset, byteLength }: Uint8Array): Decision {
  return new Decision(Buffer.from(buffer, byteOffset, byteLength));
}
