/** The doors of media, and who may pass each. */
import type {
  BeginMediaRequest,
  FetchReply,
  FetchRequest,
  FinishMediaRequest,
  GetPartReply,
  GetPartRequest,
  KeepMediaRequest,
  MediaBody,
  MediaFacts,
  MediaFactsRequest,
  MissingPartsReply,
  MissingPartsRequest,
  PutPartReply,
  PutPartRequest,
  RemoveMediaReply,
  SealReply,
  SealRequest,
  ShareReply,
  ShareRequest,
} from "../../../protos/gen/tricampus/data/v1/media_codec.ts";
import { Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import { RecentlyUsed } from "../../svrkit/recently-used.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireCaller, requireTicketOf } from "../authority.ts";
import { mediaIdOf, PART_BYTES } from "./client.ts";
import { type Copies, isNamed } from "./copies.ts";
import type { Owned } from "./owned.ts";
import { HASH_BYTES } from "./parts/engine.ts";
import {
  EVERYBODY,
  FACTS_ROW,
  factsOperation,
  grantOperation,
  keepOperation,
  leftOver,
  mediumKey,
  newFactsOperation,
} from "./rows.ts";
import type { UrlSealer } from "./seal.ts";
import type { Sight } from "./sight.ts";

const PARTS_MAX = 4_096;
const GRANTS_MAX = 1_000;
const KEPT_AT_ONCE_MAX = 20;
const FETCHED_REMEMBERED_MAX = 1_000;
/** A medium that was deleted is fetched for so long by who has a URL of it. */
const FETCHED_REMEMBERED_MS = 30_000;

export interface MediaDataParts {
  readonly kv: KvClient;
  readonly tickets: TicketVerifier;
  readonly sight: Sight;
  readonly owned: Owned;
  readonly copies: Copies;
  readonly sealer: UrlSealer;
  readonly urlMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class MediaDataHandlers {
  readonly #parts: MediaDataParts;
  readonly #fetched = new RecentlyUsed<string, { facts: MediaFacts; untilMs: number }>(
    FETCHED_REMEMBERED_MAX,
  );

  constructor(parts: MediaDataParts) {
    this.#parts = parts;
  }

  async begin({ facts }: BeginMediaRequest, call: Call): Promise<MediaFacts> {
    requireCaller(call, ["media"], "beginning uploads");
    requireArgument(facts !== undefined, "there are no facts");
    const { kv, tickets, sight, owned } = this.#parts;
    requireTicketOf(tickets, call, [facts.ownerId]);
    requireArgument(facts.mediaId === mediaIdOf(facts), "the media id does not name this");
    requireParts(facts.parts, facts.bytes);
    const before = await sight.find(facts.mediaId, call);
    if (before !== undefined) {
      await owned.renew(before, facts.createdAtMs, forward(call));
      return before;
    }
    await owned.add(facts, forward(call));
    const change = { guards: [], operations: [newFactsOperation(facts)] };
    await kv.change({ key: mediumKey(facts.mediaId), change }, forward(call));
    return facts;
  }

  facts(request: MediaFactsRequest, call: Call): Promise<MediaFacts> {
    return this.#parts.sight.require(request, call);
  }

  /** What lies between the parts that were said to come and the owner's own hands: only those are taken. */
  async putPart({ mediaId, hash, data }: PutPartRequest, call: Call): Promise<PutPartReply> {
    requireCaller(call, ["media"], "storing parts");
    const { sight, copies } = this.#parts;
    requireArgument(data.length <= PART_BYTES, `a part has at most ${PART_BYTES} bytes`);
    requireArgument(isNamed(data, hash), "the part is not what its hash says");
    await sight.requireOwn(mediaId, call);
    await copies.put(mediaId, hash, data);
    return {};
  }

  async missing({ mediaId, hashes }: MissingPartsRequest, call: Call): Promise<MissingPartsReply> {
    await this.#parts.sight.requireOwn(mediaId, call);
    return { missing: await this.#parts.copies.missing(mediaId, hashes) };
  }

  /** media: looks at what was uploaded. */
  async getPart({ mediaId, hash }: GetPartRequest, call: Call): Promise<GetPartReply> {
    requireCaller(call, ["media"], "reading parts");
    await this.#parts.sight.requireOwn(mediaId, call);
    return reply(await this.#parts.copies.get(mediaId, hash, forward(call)));
  }

  async finish(request: FinishMediaRequest, call: Call): Promise<MediaFacts> {
    requireCaller(call, ["media"], "finishing uploads");
    const { mediaId, body, thumbnail, durationMs } = request;
    const { kv, sight } = this.#parts;
    requireArgument(body !== undefined, "nothing was found in it");
    for (const one of [body, thumbnail]) if (one !== undefined) requireParts(one.parts, one.bytes);
    const before = await sight.requireOwn(mediaId, call);
    if (before.finished) return before;
    const after = { ...before, finished: true, body, thumbnail, durationMs };
    const key = mediumKey(mediaId);
    const found = await kv.getRows(
      { key, rows: [FACTS_ROW], marks: [], level: Level.STRONG },
      forward(call),
    );
    const version = found.rows[0]?.version ?? 0;
    const guards = [{ guard: { case: "row", value: { row: FACTS_ROW, version } } } as const];
    const change = { guards, operations: [factsOperation(after)] };
    const { applied } = await kv.change({ key, change }, forward(call));
    // Whoever finished it meanwhile looked at the same bytes.
    if (!applied) return sight.requireOwn(mediaId, call);
    this.#dropUpload(after);
    return after;
  }

  /** In the background; what is left of it a sweep removes. */
  #dropUpload(facts: MediaFacts): void {
    const left = leftOver(facts);
    if (left.length > 0) void this.#parts.copies.drop(facts.mediaId, left);
  }

  async share(request: ShareRequest, call: Call): Promise<ShareReply> {
    const { mediaId, fromConversationId, conversationId } = request;
    const { kv, sight, tickets } = this.#parts;
    const { userId } = tickets.userOf(call);
    const facts = await sight.require({ mediaId, conversationId: fromConversationId }, call);
    if (!facts.finished) throw new RpcError("FAILED_PRECONDITION", "the upload is not finished");
    if (conversationId === "" && facts.ownerId !== userId) {
      throw new RpcError("PERMISSION_DENIED", "only its owner shows a medium to everybody");
    }
    if (conversationId !== "" && !(await sight.isInside(conversationId, call))) {
      throw new RpcError("PERMISSION_DENIED", "you are not in this conversation");
    }
    const key = mediumKey(mediaId);
    const scan = { first: Buffer.from("g/"), end: Buffer.from("g0"), limit: GRANTS_MAX };
    const grants = await kv.scanRows(
      { key, ...scan, level: Level.ANY, reverse: false },
      forward(call),
    );
    if (grants.rows.length >= GRANTS_MAX) {
      throw new RpcError(
        "RESOURCE_EXHAUSTED",
        `a medium is shared in ${GRANTS_MAX} places at most`,
      );
    }
    const operations = [grantOperation(conversationId || EVERYBODY)];
    await kv.change({ key, change: { guards: [], operations } }, forward(call));
    // Others' sharing does not write what is the owner's (promise 7).
    if (facts.ownerId === userId)
      await this.#parts.owned.renew(facts, this.#parts.now(), forward(call));
    return {};
  }

  async keep({ mediaIds, moment, kept }: KeepMediaRequest, call: Call): Promise<RemoveMediaReply> {
    requireCaller(call, ["moments"], "which media moments show");
    requireArgument(mediaIds.length <= KEPT_AT_ONCE_MAX, "a moment shows fewer media");
    const { kv, sight } = this.#parts;
    const change = { guards: [], operations: [keepOperation(moment, kept)] };
    await Promise.all(
      mediaIds.map(async (mediaId) => {
        await sight.requireOwn(mediaId, call);
        await kv.change({ key: mediumKey(mediaId), change }, forward(call));
      }),
    );
    return {};
  }

  async seal(request: SealRequest, call: Call): Promise<SealReply> {
    const { mediaId, thumbnail, momentOf } = request;
    const { sight, sealer, urlMs, now } = this.#parts;
    const facts =
      momentOf === ""
        ? await sight.require(request, call)
        : await this.#inMoment(mediaId, momentOf, call);
    const bodyOf = thumbnail ? facts.thumbnail : facts.body;
    if (!facts.finished) throw new RpcError("FAILED_PRECONDITION", "the upload is not finished");
    if (bodyOf === undefined) throw new RpcError("NOT_FOUND", "this medium has no thumbnail");
    const expiresAtMs = now() + urlMs;
    return { expiresAtMs, seal: sealer.seal({ mediaId, thumbnail, expiresAtMs }) };
  }

  /** moments: it has checked that the ticket's owner may see a moment of this author. */
  async #inMoment(mediaId: string, author: string, call: Call): Promise<MediaFacts> {
    requireCaller(call, ["moments"], "showing media of moments");
    this.#parts.tickets.userOf(call);
    const facts = await this.#parts.sight.find(mediaId, call);
    if (facts?.ownerId === author) return facts;
    throw new RpcError("NOT_FOUND", "there is no such medium of the author's");
  }

  async fetch(request: FetchRequest, call: Call): Promise<FetchReply> {
    requireCaller(call, ["access"], "downloads");
    const { mediaId, thumbnail, offset, bytesMax, seal } = request;
    this.#parts.sealer.check(request, seal);
    const facts = await this.#factsToFetch(mediaId, call);
    const body = thumbnail ? facts.thumbnail : facts.body;
    if (body === undefined) throw new RpcError("NOT_FOUND", "this medium has no thumbnail");
    const { kind, name } = facts;
    const { mime, bytes } = body;
    const data = await this.#slice(mediaId, body, { offset, bytesMax, call });
    return { kind, mime, name, bytes, data };
  }

  async #slice(
    mediaId: string,
    { bytes, parts }: MediaBody,
    { offset, bytesMax, call }: { offset: number; bytesMax: number; call: Call },
  ): Promise<Uint8Array> {
    if (bytesMax === 0 || offset >= bytes) return NO_BYTES;
    const hash = parts[Math.floor(offset / PART_BYTES)]!;
    const part = await this.#parts.copies.get(mediaId, hash, forward(call));
    if (part === undefined) {
      throw new RpcError("UNAVAILABLE", "no campus that answers has this part: try again later");
    }
    const from = offset % PART_BYTES;
    return part.subarray(from, from + bytesMax);
  }

  async #factsToFetch(mediaId: string, call: Call): Promise<MediaFacts> {
    const nowMs = this.#parts.now();
    const known = this.#fetched.get(mediaId);
    if (known !== undefined && known.untilMs > nowMs) return known.facts;
    const facts = await this.#parts.sight.find(mediaId, call);
    if (facts?.finished !== true) throw new RpcError("NOT_FOUND", "this medium was deleted");
    this.#fetched.set(mediaId, { facts, untilMs: nowMs + FETCHED_REMEMBERED_MS });
    return facts;
  }

  /** media-data of another campus: a copy for here. */
  async storeHere({ mediaId, hash, data }: PutPartRequest, call: Call): Promise<PutPartReply> {
    requireCaller(call, ["media-data"], "copies of parts");
    requireArgument(isNamed(data, hash), "the part is not what its hash says");
    await this.#parts.copies.putHere(mediaId, hash, data);
    return {};
  }

  async loadHere({ mediaId, hash }: GetPartRequest, call: Call): Promise<GetPartReply> {
    requireCaller(call, ["media-data"], "copies of parts");
    return reply(await this.#parts.copies.here(mediaId, hash));
  }

  async haveHere({ mediaId, hashes }: MissingPartsRequest, call: Call): Promise<MissingPartsReply> {
    requireCaller(call, ["media-data"], "copies of parts");
    return { missing: await this.#parts.copies.missingHere(mediaId, hashes) };
  }
}

function reply(data: Buffer | undefined): GetPartReply {
  return { found: data !== undefined, data: data ?? NO_BYTES };
}

/** As many as so many bytes need, each named by a hash. */
function requireParts(parts: readonly Uint8Array[], bytes: number): void {
  const needed = Math.ceil(bytes / PART_BYTES);
  requireArgument(
    bytes >= 1 && parts.length === needed && needed <= PARTS_MAX,
    `${bytes} bytes have ${needed} chunks of ${PART_BYTES}, and ${parts.length} are named`,
  );
  const isHash = parts.every((hash) => hash.length === HASH_BYTES);
  requireArgument(isHash, "a chunk is named by its SHA-256, 32 bytes");
}
