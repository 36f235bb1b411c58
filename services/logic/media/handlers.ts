/** Media: taking uploads, looking at what they are, and saying where they are to be seen. */
import {
  type BeginUploadRequest,
  type MediaInfo,
  MediaKind,
  type MediaReply,
  type MediaRequest,
  type MediaUrlReply,
  type MediaUrlRequest,
  type PutChunkReply,
  type PutChunkRequest,
  type ShareMediaRequest,
  type UploadState,
} from "../../../protos/gen/tricampus/client/v1/media_codec.ts";
import {
  type MediaBody,
  MediaData,
  type MediaFacts,
  makeMediaFacts,
} from "../../../protos/gen/tricampus/data/v1/media_codec.ts";
import { hashOf, infoOf, mediaIdOf, PART_BYTES, pathOf } from "../../data/media/client.ts";
import { conversationOf } from "../../data/message/client.ts";
import { type Call, type CallOptions, forward, monotonicMs } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireConversationId, requireId } from "../arguments.ts";
import type { MediaOptions } from "./config.ts";
import type { Decoder } from "./decoder/decoder.ts";
import type { Picture } from "./decoder/job.ts";
import { SNIFF_BYTES, sniff } from "./kinds/sniff.ts";
import { readMp4, readWebm } from "./kinds/video.ts";
import { refuseZipBomb } from "./kinds/zip.ts";
import { UploadReader } from "./reader.ts";
import { checkUpload, requireSameType } from "./upload.ts";

const FINISH_MS = 30_000;

export interface MediaParts {
  readonly tickets: TicketVerifier;
  readonly media: Callee;
  readonly decoder: Pick<Decoder, "decode">;
  readonly options: MediaOptions;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

interface Looked {
  readonly body: MediaBody;
  readonly thumbnail: MediaBody | undefined;
  readonly durationMs: number;
}

export class MediaHandlers {
  readonly #parts: MediaParts;
  /** By medium: who asks again while it is looked at waits for the same. */
  readonly #finishing = new Map<string, Promise<MediaInfo>>();

  constructor(parts: MediaParts) {
    this.#parts = parts;
  }

  async begin(request: BeginUploadRequest, call: Call): Promise<UploadState> {
    const { tickets, media, options, now } = this.#parts;
    const { userId: ownerId } = tickets.userOf(call);
    checkUpload(request, options);
    const { kind, mime, name, bytes, chunks: parts } = request;
    const named = { ownerId, kind, mime, bytes, parts };
    const mediaId = mediaIdOf(named);
    const facts = makeMediaFacts({ ...named, mediaId, name, createdAtMs: now() });
    const stands = await media.call(MediaData.begin, { facts }, forward(call));
    if (stands.finished) return { mediaId, missing: [], finished: infoOf(stands) };
    return { mediaId, missing: await this.#missing(stands, forward(call)), finished: undefined };
  }

  async #missing({ mediaId, parts }: MediaFacts, options: CallOptions): Promise<number[]> {
    const request = { mediaId, hashes: parts };
    return (await this.#parts.media.call(MediaData.missing, request, options)).missing;
  }

  async put({ mediaId, index, data }: PutChunkRequest, call: Call): Promise<PutChunkReply> {
    const facts = await this.#own(mediaId, forward(call));
    if (facts.finished) return {};
    const { parts, bytes } = facts;
    requireArgument(index < parts.length, `this upload has ${parts.length} chunks`);
    const length = Math.min(PART_BYTES, bytes - index * PART_BYTES);
    requireArgument(
      data.length === length,
      `chunk ${index} has ${length} bytes, and ${data.length} came: it was cut, send it again`,
    );
    const hash = parts[index]!;
    await this.#parts.media.call(MediaData.putPart, { mediaId, hash, data }, forward(call));
    return {};
  }

  finish({ mediaId }: MediaRequest, call: Call): Promise<MediaInfo> {
    const { userId } = this.#parts.tickets.userOf(call);
    const name = `${userId} ${mediaId}`;
    let finishing = this.#finishing.get(name);
    if (finishing === undefined) {
      finishing = this.#finish(mediaId, longer(call)).finally(() => this.#finishing.delete(name));
      this.#finishing.set(name, finishing);
    }
    return finishing;
  }

  async #finish(mediaId: string, options: CallOptions): Promise<MediaInfo> {
    const facts = await this.#own(mediaId, options);
    if (facts.finished) return infoOf(facts);
    const missing = await this.#missing(facts, options);
    if (missing.length > 0) {
      const first = missing.slice(0, 5).join(", ");
      throw new RpcError(
        "FAILED_PRECONDITION",
        `${missing.length} chunks are missing, first ${first}: send them`,
      );
    }
    const looked = await this.#look(facts, options);
    const request = { mediaId, ...looked };
    return infoOf(await this.#parts.media.call(MediaData.finish, request, options));
  }

  async #look(facts: MediaFacts, options: CallOptions): Promise<Looked> {
    const reader = this.#readerOf(facts, options);
    const found = sniff(await reader.read(0, SNIFF_BYTES));
    requireSameType(facts, found);
    if (facts.kind === MediaKind.IMAGE) return this.#lookAtImage(facts, reader, options);
    const { mime, bytes, parts } = facts;
    const asUploaded = { mime, bytes, parts, width: 0, height: 0 };
    if (facts.kind === MediaKind.FILE) {
      if (found === "application/zip") await refuseZipBomb(reader);
      return { body: asUploaded, thumbnail: undefined, durationMs: 0 };
    }
    const video = await (found === "video/webm" ? readWebm(reader) : readMp4(reader));
    const { videoMsMax } = this.#parts.options;
    if (video.durationMs > videoMsMax) {
      const message = `a video takes at most ${videoMsMax} ms, this one ${video.durationMs}`;
      throw new RpcError("TOO_LARGE", message);
    }
    const { width, height, durationMs } = video;
    return { body: { ...asUploaded, width, height }, thumbnail: undefined, durationMs };
  }

  async #lookAtImage(
    { mediaId }: MediaFacts,
    reader: UploadReader,
    options: CallOptions,
  ): Promise<Looked> {
    const { decoder, options: limits } = this.#parts;
    const { imagePixelsMax: pixelsMax, imageSideMax: sideMax, thumbnailSideMax } = limits;
    const data = await reader.read(0, reader.bytes);
    const made = await decoder.decode({ data, pixelsMax, sideMax, thumbnailSideMax });
    const body = await this.#store(mediaId, made.body, options);
    const thumbnail = await this.#store(mediaId, made.thumbnail, options);
    return { body, thumbnail, durationMs: 0 };
  }

  async #store(mediaId: string, picture: Picture, options: CallOptions): Promise<MediaBody> {
    const { data, mime, width, height } = picture;
    const parts: Uint8Array[] = [];
    for (let at = 0; at < data.length; at += PART_BYTES) {
      const part = data.subarray(at, at + PART_BYTES);
      const hash = hashOf(part);
      const request = { mediaId, hash, data: part };
      await this.#parts.media.call(MediaData.putPart, request, options);
      parts.push(hash);
    }
    return { mime, bytes: data.length, width, height, parts };
  }

  #readerOf({ mediaId, bytes, parts }: MediaFacts, options: CallOptions): UploadReader {
    return new UploadReader(bytes, async (index) => {
      const request = { mediaId, hash: parts[index]! };
      const { found, data } = await this.#parts.media.call(MediaData.getPart, request, options);
      if (!found) throw new RpcError("UNAVAILABLE", "a chunk cannot be read now: try again");
      return Buffer.from(data);
    });
  }

  async get(request: MediaRequest, call: Call): Promise<MediaInfo> {
    const facts = await this.#parts.media.call(MediaData.facts, request, forward(call));
    if (facts.finished) return infoOf(facts);
    throw new RpcError("FAILED_PRECONDITION", "the upload is not finished");
  }

  async share(request: ShareMediaRequest, call: Call): Promise<MediaReply> {
    const { mediaId, fromConversationId, with: shown } = request;
    const { userId } = this.#parts.tickets.userOf(call);
    requireArgument(shown !== undefined, "nobody is named to show it to");
    if (shown.case === "conversationId") requireConversationId(shown.value);
    if (shown.case === "userId") requireId(shown.value, "a user id");
    if (shown.case === "everybody") requireArgument(shown.value, "everybody is true or absent");
    const conversationId =
      shown.case === "everybody"
        ? ""
        : shown.case === "userId"
          ? conversationOf(userId, shown.value)
          : shown.value;
    const asked = { mediaId, fromConversationId, conversationId };
    await this.#parts.media.call(MediaData.share, asked, forward(call));
    return {};
  }

  async url(request: MediaUrlRequest, call: Call): Promise<MediaUrlReply> {
    const asked = { ...request, momentOf: "" };
    const sealed = await this.#parts.media.call(MediaData.seal, asked, forward(call));
    return { path: pathOf({ ...request, ...sealed }), expiresAtMs: sealed.expiresAtMs };
  }

  async delete({ mediaId }: MediaRequest, call: Call): Promise<MediaReply> {
    await this.#parts.media.call(MediaData.remove, { mediaId, hashes: [] }, forward(call));
    return {};
  }

  #own(mediaId: string, options: CallOptions): Promise<MediaFacts> {
    const request = { mediaId, conversationId: "" };
    return this.#parts.media.call(MediaData.facts, request, options);
  }
}

/**
 * A picture may take longer than a client waits for one answer: it goes on, and the client, which asks again,
 * gets what comes of it. The ticket is a view into a frame, which this outlives.
 */
function longer(call: Call): CallOptions {
  const ticket = Buffer.from(call.ticket);
  return { ...forward(call), ticket, deadlineMs: monotonicMs() + FINISH_MS };
}
