/**
 * Files, images and videos: uploads that go on where they were, wherever the client is connected, and
 * downloads of any part of them. An upload is cut into chunks and hashed first; the platform says which it
 * lacks, and gets those.
 */
import { Account } from "../protos/gen/tricampus/client/v1/account_codec.ts";
import { type Content, makeContent } from "../protos/gen/tricampus/client/v1/content_codec.ts";
import {
  type BeginUploadRequest,
  Media,
  type MediaInfo,
  MediaKind,
} from "../protos/gen/tricampus/client/v1/media_codec.ts";
import { RpcError } from "../services/svrkit/errors.ts";
import type { RequestOptions } from "./link.ts";
import { REQUEST_OPTIONS, type Requester } from "./requester.ts";
import type { Recipient } from "./store.ts";
import { withScheme } from "./transports/transport.ts";

const CHUNK_BYTES = 512 * 1024;
const CHUNKS_AT_ONCE = 3;
const CHUNK_OPTIONS: RequestOptions = { timeoutMs: 30_000 };
/** An image is made anew, one at a time in each campus. */
const FINISH_OPTIONS: RequestOptions = { timeoutMs: 30_000 };
const ATTEMPTS_MAX = 5;
const PAUSE_FIRST_MS = 200;
const DOWNLOAD_TIMEOUT_MS = 60_000;

/** What is uploaded: bytes, a Blob or File of a browser, or anything that can be read anywhere. */
type UploadSource =
  | Uint8Array
  | Blob
  | { readonly bytes: number; read(offset: number, length: number): Promise<Uint8Array> };

export interface Upload {
  readonly kind: "file" | "image" | "video";
  readonly mime: string;
  /** Of files. */
  readonly name?: string;
  readonly source: UploadSource;
  readonly onProgress?: (progress: { sent: number; of: number }) => void;
}

export interface Download {
  readonly mediaId: string;
  /** Where the user was shown it; absent: it is the user's own, or everybody's. */
  readonly conversationId?: string;
  readonly thumbnail?: boolean;
  /** Bytes from `start` on, up to `end` without it. */
  readonly range?: { readonly start: number; readonly end?: number };
}

export interface MediaLink extends Requester {
  /** Addresses of the campuses, the one that is connected first. */
  readonly urls: readonly string[];
}

const KINDS = { file: MediaKind.FILE, image: MediaKind.IMAGE, video: MediaKind.VIDEO } as const;

/** A message that holds a medium. */
export interface MediaMessage extends Upload {
  readonly text?: string;
  /** Of a video: an image that stands for it. */
  readonly poster?: Pick<Upload, "mime" | "source">;
}

/** `Sent`: as the client says it. */
type Send<Sent> = (
  to: Recipient,
  message: { text: string; content: Content },
  clientMessageId: string,
) => Promise<Sent>;

export class MediaLibrary<Sent> {
  readonly #link: MediaLink;
  readonly #send: Send<Sent>;

  constructor(link: MediaLink, send: Send<Sent>) {
    this.#link = link;
    this.#send = send;
  }

  /**
   * Uploads, lets the recipients see it, and sends the message that shows it. Whoever calls it again, after it
   * failed or a crash, gives the same `clientMessageId`: then there is one message.
   */
  async send(
    to: Recipient,
    message: MediaMessage,
    clientMessageId: string = crypto.randomUUID(),
  ): Promise<Sent> {
    const recipient = await this.#resolved(to);
    const shown = "groupId" in recipient ? { conversationId: recipient.groupId } : recipient;
    const info = await this.upload(message);
    await this.share(info.mediaId, shown);
    let posterId = "";
    if (message.poster !== undefined) {
      posterId = (await this.upload({ kind: "image", ...message.poster })).mediaId;
      await this.share(posterId, shown);
    }
    const content = makeContent({ body: bodyOf(info, posterId) });
    return this.#send(recipient, { text: message.text ?? "", content }, clientMessageId);
  }

  async #resolved(to: Recipient): Promise<Exclude<Recipient, { userName: string }>> {
    if (!("userName" in to)) return to;
    const request = { name: to.userName };
    return { userId: (await this.#link.request(Account.find, request, REQUEST_OPTIONS)).userId };
  }

  /** Resolves when it is whole, looked at, and can be shared. Repeating it sends nothing twice. */
  async upload({ kind, mime, name = "", source, onProgress }: Upload): Promise<MediaInfo> {
    const reader = readerOf(source);
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < reader.bytes; at += CHUNK_BYTES) {
      chunks.push(await sha256(await reader.read(at, CHUNK_BYTES)));
    }
    const request = { kind: KINDS[kind], mime, bytes: reader.bytes, chunks, name };
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#run(request, reader, onProgress);
      } catch (error) {
        const { retryable, code } = RpcError.from(error);
        const mayPass = retryable || code === "DEADLINE_EXCEEDED";
        if (!mayPass || attempt === ATTEMPTS_MAX) throw error;
        await new Promise((resolve) => setTimeout(resolve, PAUSE_FIRST_MS * 2 ** attempt));
      }
    }
  }

  async #run(
    request: BeginUploadRequest,
    reader: Reader,
    onProgress: Upload["onProgress"],
  ): Promise<MediaInfo> {
    const state = await this.#link.request(Media.begin, request, REQUEST_OPTIONS);
    const { mediaId, missing, finished } = state;
    if (finished !== undefined) return finished;
    const of = request.chunks.length;
    let sent = of - missing.length;
    const left = missing.values();
    const send = async () => {
      for (const index of left) {
        const data = await reader.read(index * CHUNK_BYTES, CHUNK_BYTES);
        await this.#link.request(Media.put, { mediaId, index, data }, CHUNK_OPTIONS);
        sent += 1;
        onProgress?.({ sent, of });
      }
    };
    await Promise.all(Array.from({ length: CHUNKS_AT_ONCE }, send));
    const asked = { mediaId, conversationId: "" };
    return this.#link.request(Media.finish, asked, FINISH_OPTIONS);
  }

  info(mediaId: string, conversationId = ""): Promise<MediaInfo> {
    return this.#link.request(Media.get, { mediaId, conversationId }, REQUEST_OPTIONS);
  }

  /** Lets all of a conversation see it; `from`: the conversation where the user was shown it. */
  async share(
    mediaId: string,
    to: { userId: string } | { conversationId: string } | "everybody",
    { from = "" } = {},
  ): Promise<void> {
    const shown =
      to === "everybody"
        ? ({ case: "everybody", value: true } as const)
        : "userId" in to
          ? ({ case: "userId", value: to.userId } as const)
          : ({ case: "conversationId", value: to.conversationId } as const);
    const request = { mediaId, fromConversationId: from, with: shown };
    await this.#link.request(Media.share, request, REQUEST_OPTIONS);
  }

  /** An address for an <img> or a <video>, good for an hour; for whoever has it. */
  async url(download: Omit<Download, "range">): Promise<string> {
    return `${this.#base(0)}${await this.#path(download)}`;
  }

  /** The bytes, from the campus that is connected, or another one when it does not answer. */
  async download(download: Download): Promise<Uint8Array> {
    const path = await this.#path(download);
    let last: unknown;
    for (const index of this.#link.urls.keys()) {
      try {
        return await fetchBytes(`${this.#base(index)}${path}`, download.range);
      } catch (error) {
        last = error;
        if (error instanceof RpcError && !error.retryable) throw error;
      }
    }
    throw RpcError.from(last);
  }

  /** Nobody sees it any more. */
  async delete(mediaId: string): Promise<void> {
    await this.#link.request(Media.delete, { mediaId, conversationId: "" }, REQUEST_OPTIONS);
  }

  async #path({ mediaId, conversationId = "", thumbnail = false }: Download): Promise<string> {
    const request = { mediaId, conversationId, thumbnail };
    return (await this.#link.request(Media.url, request, REQUEST_OPTIONS)).path;
  }

  #base(index: number): string {
    return withScheme(this.#link.urls[index]!, "http");
  }
}

function bodyOf(info: MediaInfo, posterId: string): NonNullable<Content["body"]> {
  const { mediaId, mime, bytes, width, height, durationMs, name, kind } = info;
  const about = { mediaId, mime, bytes };
  if (kind === MediaKind.FILE) return { case: "file", value: { ...about, name } };
  const picture = { ...about, width, height };
  if (kind === MediaKind.VIDEO)
    return { case: "video", value: { ...picture, durationMs, posterId } };
  return { case: "image", value: { ...picture, thumbnailId: "" } };
}

interface Reader {
  readonly bytes: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}

function readerOf(source: UploadSource): Reader {
  if (source instanceof Uint8Array) {
    const { length: bytes } = source;
    return { bytes, read: async (at, length) => source.subarray(at, at + length) };
  }
  if (!(source instanceof Blob)) return source;
  return {
    bytes: source.size,
    read: async (at, length) => new Uint8Array(await source.slice(at, at + length).arrayBuffer()),
  };
}

async function sha256(data: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(data)));
}

async function fetchBytes(url: string, range: Download["range"]): Promise<Uint8Array> {
  const last = range?.end === undefined ? "" : range.end - 1;
  const headers: Record<string, string> =
    range === undefined ? {} : { range: `bytes=${range.start}-${last}` };
  const signal = AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS);
  let answer: Response;
  try {
    answer = await fetch(url, { headers, signal });
  } catch (cause) {
    throw new RpcError("UNAVAILABLE", "this campus does not answer", { cause });
  }
  if (!answer.ok) {
    const said = (await answer.json().catch(() => ({}))) as { code?: string; message?: string };
    const { code = "INTERNAL", message = `the download failed with ${answer.status}` } = said;
    throw new RpcError(code as RpcError["code"], message, { retryable: answer.status >= 500 });
  }
  try {
    return new Uint8Array(await answer.arrayBuffer());
  } catch (cause) {
    throw new RpcError("UNAVAILABLE", "the download broke off", { cause });
  }
}
