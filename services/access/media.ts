/**
 * Downloads: GET and HEAD of the addresses that Media/Url makes, with ranges. The seal is checked where the
 * bytes are; this only asks for one part after the other, as fast as the client takes them.
 */
import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { MediaKind } from "../../protos/gen/tricampus/client/v1/media_codec.ts";
import {
  type FetchReply,
  type FetchRequest,
  MediaData,
} from "../../protos/gen/tricampus/data/v1/media_codec.ts";
import { PART_BYTES, parseAddress, type SealedAddress } from "../data/media/client.ts";
import { priorityOf, USER_BUCKETS } from "../svrkit/admission/priority.ts";
import type { CallOptions } from "../svrkit/call.ts";
import type { Callee } from "../svrkit/client.ts";
import { RpcError } from "../svrkit/errors.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import type { Forwarder } from "./forwarder.ts";
import {
  DOWNLOAD_PART_MS,
  DOWNLOAD_STALLED_MS,
  DOWNLOADS_MAX,
  REQUEST_TIMEOUT_MS,
} from "./limits.ts";
import { type ByteRange, rangeOf } from "./range.ts";

const downloads = monitorId("access.downloads");

const LIMITS = {
  downloadsMax: DOWNLOADS_MAX,
  stalledMs: DOWNLOAD_STALLED_MS,
  partMs: DOWNLOAD_PART_MS,
};

export interface MediaParts {
  readonly media: Callee;
  /** Lets downloads in, or sheds them, as it does requests. */
  readonly forwarder: Pick<Forwarder, "letIn" | "ended">;
}

export function serveMedia(http: FastifyInstance, parts: MediaParts, limits = LIMITS): void {
  const door = new MediaDoor(parts, limits);
  const url = "/v1/media/:mediaId/:what";
  http.get(url, (request, reply) => door.answer(request, reply));
}

/** Of a download: the calls for its parts, and the timer of the part under way. */
interface How {
  readonly options: CallOptions;
  readonly slow: NodeJS.Timeout;
}

interface Piece {
  readonly address: SealedAddress;
  readonly range: ByteRange;
  readonly offset: number;
}

class MediaDoor {
  readonly #parts: MediaParts;
  readonly #limits: typeof LIMITS;
  #open = 0;

  constructor(parts: MediaParts, limits: typeof LIMITS) {
    this.#parts = parts;
    this.#limits = limits;
  }

  async answer(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const params = request.params as { mediaId: string; what: string };
    const address = parseAddress(params, request.query as Record<string, unknown>);
    if (address === undefined) throw new RpcError("NOT_FOUND", "this is no address of a medium");
    requireTurn(reply.raw);
    const priority = this.#letIn(reply.raw);
    monitor.add(downloads, 1);
    const options = { timeoutMs: REQUEST_TIMEOUT_MS, priority };
    const facts = await this.#fetch({ ...address, offset: 0, bytesMax: 0 }, options);
    const etag = `"${address.mediaId.slice(0, 32)}-${address.thumbnail ? "t" : "w"}"`;
    if (request.headers["if-none-match"] === etag) {
      describe(reply, facts, { address, etag });
      return reply.code(304).send();
    }
    const ifRange = request.headers["if-range"];
    const wanted = ifRange === undefined || ifRange === etag ? request.headers.range : undefined;
    const range = rangeOf(wanted, facts.bytes);
    if (range === "none") {
      reply.header("content-range", `bytes */${facts.bytes}`);
      const message = `this medium has ${facts.bytes} bytes: the range holds none of them`;
      const body = { code: "INVALID_ARGUMENT", message, retryable: false };
      return reply.type("application/json; charset=utf-8").code(416).send(body);
    }
    const sent = range === "whole" ? { start: 0, last: facts.bytes - 1 } : range;
    // Before the head, which may be cached for long: an error of the first part has a head of its own.
    const body =
      request.method === "HEAD"
        ? Readable.from([])
        : await this.#body(address, sent, { options, slow: this.#takePlace(reply.raw) });
    describe(reply, facts, { address, etag });
    if (range !== "whole") {
      reply.code(206).header("content-range", `bytes ${sent.start}-${sent.last}/${facts.bytes}`);
    }
    reply.header("content-length", sent.last - sent.start + 1);
    return reply.send(body);
  }

  /** Once for all its parts, before the first: one that has begun goes on. Returns their priority. */
  #letIn(response: ServerResponse): number {
    if (response.destroyed) throw gone();
    const priority = priorityOf("media", Math.floor(Math.random() * USER_BUCKETS));
    const { forwarder } = this.#parts;
    forwarder.letIn(priority);
    response.once("close", () => forwarder.ended(priority));
    return priority;
  }

  /**
   * Only for who has an address with a good seal, and held until the answer has been taken, or the client is
   * gone or too slow. The timer runs until the next part is asked for: refresh it then.
   */
  #takePlace(response: ServerResponse): NodeJS.Timeout {
    if (response.destroyed) throw gone();
    if (this.#open >= this.#limits.downloadsMax) {
      throw new RpcError("OVERLOADED", "too many downloads here: try again a little later");
    }
    this.#open += 1;
    const slow = setTimeout(() => response.destroy(), this.#limits.partMs);
    slow.unref();
    response.once("close", () => {
      clearTimeout(slow);
      this.#open -= 1;
    });
    response.setTimeout(this.#limits.stalledMs, () => response.destroy());
    return slow;
  }

  async #body(address: SealedAddress, range: ByteRange, how: How): Promise<Readable> {
    const first = await this.#piece({ address, range, offset: range.start }, how.options);
    return Readable.from(this.#pieces(address, range, { first, ...how }), { objectMode: false });
  }

  async *#pieces(
    address: SealedAddress,
    range: ByteRange,
    { first, slow, options }: How & { first: Uint8Array },
  ) {
    yield first;
    for (let at = range.start + first.length; at <= range.last; ) {
      slow.refresh();
      const piece = await this.#piece({ address, range, offset: at }, options);
      yield piece;
      at += piece.length;
    }
  }

  async #piece({ address, range, offset }: Piece, options: CallOptions): Promise<Uint8Array> {
    const bytesMax = Math.min(PART_BYTES, range.last - offset + 1);
    const { data } = await this.#fetch({ ...address, offset, bytesMax }, options);
    if (data.length === 0) throw new RpcError("UNAVAILABLE", "the medium ended early: try again");
    return Buffer.from(data);
  }

  #fetch(request: FetchRequest, options: CallOptions): Promise<FetchReply> {
    return this.#parts.media.call(MediaData.fetch, request, options);
  }
}

function gone(): RpcError {
  return new RpcError("UNAVAILABLE", "the client is gone");
}

/**
 * One connection is one download. An answer behind another one on its connection has no socket yet, so nothing
 * would tell when its client is gone, and one client could hold all places with one connection.
 */
function requireTurn(response: ServerResponse): void {
  if (response.socket !== null) return;
  const message = "an earlier answer is still on this connection: ask again when it has come";
  throw new RpcError("OVERLOADED", message);
}

function describe(
  reply: FastifyReply,
  { kind, mime, name }: FetchReply,
  { address, etag }: { address: SealedAddress; etag: string },
): void {
  const seconds = Math.max(0, Math.floor((address.expiresAtMs - Date.now()) / 1_000));
  reply.headers({
    etag,
    "accept-ranges": "bytes",
    "cache-control": `private, max-age=${seconds}, immutable`,
    // What users upload is never run as a page of this place, whatever it says it is.
    "content-type": kind === MediaKind.FILE ? "application/octet-stream" : mime,
    "content-disposition": kind === MediaKind.FILE ? attachment(name) : "inline",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    // The address is the permission; browsers' pages of anywhere may use it.
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
  });
}

/** RFC 8187: a name of any letters, and one of plain letters for who knows no others. */
function attachment(name: string): string {
  const plain = name.replaceAll(/[^\x20-\x7e]|["\\%]/g, "_");
  const all = encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${all}`;
}
