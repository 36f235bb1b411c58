/**
 * Parts as objects of an S3-compatible bucket, `media/<media id>/<hash>`: all campuses share it, and it keeps
 * them through the loss of one by its own means. Requests are signed (Signature Version 4) by aws4fetch,
 * which also repeats those that the server was too busy for.
 */
import { AwsClient } from "aws4fetch";
import { RpcError } from "../../../svrkit/errors.ts";
import { type PartEngine, partName, requireMediaName } from "./engine.ts";

const PREFIX = "media/";
const TIMEOUT_MS = 4_000;
const RETRIES = 2;
const KEYS_A_PAGE = 1_000;

export interface S3Options {
  /** "https://s3.eu-central-1.example": the bucket is the first part of the path. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export class S3Parts implements PartEngine {
  readonly isShared = true;
  readonly #aws: AwsClient;
  readonly #url: string;

  constructor({ endpoint, bucket, ...keys }: S3Options) {
    this.#aws = new AwsClient({ ...keys, service: "s3", retries: RETRIES });
    this.#url = `${endpoint.replace(/\/+$/, "")}/${bucket}`;
  }

  async put(mediaId: string, hash: Uint8Array, data: Uint8Array): Promise<void> {
    const body = Uint8Array.from(data);
    const answer = await this.#ask("PUT", this.#object(mediaId, hash), body);
    await requireGood(answer, "storing a part");
  }

  async get(mediaId: string, hash: Uint8Array): Promise<Buffer | undefined> {
    const answer = await this.#ask("GET", this.#object(mediaId, hash));
    if (answer.status === 404) return dropBody(answer);
    await requireGood(answer, "reading a part");
    return Buffer.from(await answer.arrayBuffer());
  }

  async has(mediaId: string, hash: Uint8Array): Promise<boolean> {
    const answer = await this.#ask("HEAD", this.#object(mediaId, hash));
    if (answer.status === 404) return false;
    await requireGood(answer, "looking for a part");
    return true;
  }

  async remove(mediaId: string, hash: Uint8Array): Promise<void> {
    await this.#remove(this.#object(mediaId, hash));
  }

  async #remove(url: string): Promise<void> {
    const answer = await this.#ask("DELETE", url);
    if (answer.status === 404) await dropBody(answer);
    else await requireGood(answer, "removing a part");
  }

  async drop(mediaId: string): Promise<void> {
    const prefix = `${PREFIX}${requireMediaName(mediaId)}/`;
    // What is removed makes the next page begin earlier: always the first one.
    for (let left = true; left; ) {
      const { keys, more } = await this.#keys(prefix, prefix);
      for (const key of keys) await this.#remove(`${this.#url}/${key}`);
      left = more && keys.length > 0;
    }
  }

  async list(after: string, limit: number): Promise<string[]> {
    const found: string[] = [];
    for (let last = after; found.length < limit; ) {
      // "0" follows "/": behind everything of the last one.
      const { keys } = await this.#keys(PREFIX, last === "" ? PREFIX : `${PREFIX}${last}0`);
      const [first] = keys;
      if (first === undefined) break;
      last = first.slice(PREFIX.length).split("/")[0]!;
      found.push(last);
    }
    return found;
  }

  /** Keys in order, those that begin so, above another one. */
  async #keys(prefix: string, after: string): Promise<{ keys: string[]; more: boolean }> {
    const query = new URLSearchParams({
      "list-type": "2",
      "max-keys": String(KEYS_A_PAGE),
      prefix,
      "start-after": after,
    });
    const answer = await this.#ask("GET", `${this.#url}?${query}`);
    await requireGood(answer, "listing parts", { keepsBody: true });
    const text = await answer.text();
    // Our own names: hex digits and slashes, nothing that XML escapes.
    const keys = [...text.matchAll(/<Key>([^<&]*)<\/Key>/g)].map(([, key]) => key!);
    return { keys, more: /<IsTruncated>true</.test(text) };
  }

  #object(mediaId: string, hash: Uint8Array): string {
    return `${this.#url}/${PREFIX}${requireMediaName(mediaId)}/${partName(mediaId, hash)}`;
  }

  async #ask(method: string, url: string, body?: Uint8Array<ArrayBuffer>): Promise<Response> {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    try {
      return await this.#aws.fetch(url, { method, signal, ...(body && { body }) });
    } catch (error) {
      const reason = (error as Error).message;
      throw new RpcError("UNAVAILABLE", `the object store does not answer: ${reason}`, {
        cause: error,
      });
    }
  }
}

async function requireGood(
  answer: Response,
  what: string,
  { keepsBody = false } = {},
): Promise<void> {
  if (answer.ok) {
    if (!keepsBody && answer.status === 204) await dropBody(answer);
    return;
  }
  const text = (await answer.text()).slice(0, 200);
  const message = `the object store refused ${what}: ${answer.status} ${text}`;
  throw new RpcError(answer.status >= 500 ? "UNAVAILABLE" : "STORAGE_REFUSED", message);
}

/** A body that nobody reads holds its connection. */
async function dropBody(answer: Response): Promise<undefined> {
  await answer.body?.cancel();
  return undefined;
}
