/** Which API key a call carries, and whether it may do this. The file is read again when it changes. */
import { statSync } from "node:fs";
import { TokenBuckets } from "../../svrkit/admission/token-buckets.ts";
import { RpcError } from "../../svrkit/errors.ts";
import type { Logger } from "../../svrkit/log.ts";
import { type ApiKeyRecord, type ApiScope, hashOfApiKey, readApiKeys } from "./api-keys-client.ts";

const LOOK_EVERY_MS = 1_000;

export interface ApiKeyOptions {
  /** undefined: there are no API keys. */
  readonly path: string | undefined;
  readonly requestsPerSecond: number;
  readonly log: Logger;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export class ApiKeys {
  readonly #options: ApiKeyOptions;
  readonly #rates: TokenBuckets;
  #byHash: ReadonlyMap<string, ApiKeyRecord> = new Map();
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #changedAtMs = 0;

  constructor(options: ApiKeyOptions) {
    this.#options = options;
    const { requestsPerSecond: perSecond } = options;
    this.#rates = new TokenBuckets({ perSecond, burst: perSecond * 5 });
  }

  /** The key's name; throws UNAUTHENTICATED, PERMISSION_DENIED or RESOURCE_EXHAUSTED. */
  require(key: Uint8Array, scope: ApiScope): string {
    const nowMs = this.#options.now();
    this.#look(nowMs);
    const found = key.length === 0 ? undefined : this.#byHash.get(hashOfApiKey(key));
    if (found === undefined) {
      throw new RpcError(
        "UNAUTHENTICATED",
        "no API key that is known here: send it as `Authorization: Bearer <key>`",
      );
    }
    if (!found.scopes.includes(scope))
      throw new RpcError("PERMISSION_DENIED", `the API key ${found.name} lacks the scope ${scope}`);
    if (!this.#rates.take(found.name, nowMs)) {
      throw new RpcError("RESOURCE_EXHAUSTED", `the API key ${found.name} is used too often`, {
        retryable: true,
      });
    }
    return found.name;
  }

  #look(nowMs: number): void {
    const { path, log } = this.#options;
    if (path === undefined || nowMs - this.#lookedAtMs < LOOK_EVERY_MS) return;
    this.#lookedAtMs = nowMs;
    try {
      const changedAtMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
      if (changedAtMs === this.#changedAtMs) return;
      this.#byHash = new Map(readApiKeys(path).map((record) => [record.sha256, record]));
      this.#changedAtMs = changedAtMs;
    } catch (error) {
      // Those that were known go on counting: a torn file logs nobody out.
      log.error({ err: error, path }, "the API keys cannot be read");
    }
  }
}
