/**
 * Seals of URLs: an HMAC over what the URL shows and until when, under a key that all campuses have. A URL is
 * good for whoever holds it, so it is made for who may see the medium, and not for long.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { RpcError } from "../../svrkit/errors.ts";

const SEAL_BYTES = 20;

export interface Sealed {
  readonly mediaId: string;
  readonly thumbnail: boolean;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
}

export class UrlSealer {
  readonly #key: Uint8Array;
  readonly #now: () => number;

  constructor(key: Uint8Array, now: () => number = Date.now) {
    this.#key = key;
    this.#now = now;
  }

  seal({ mediaId, thumbnail, expiresAtMs }: Sealed): Buffer {
    const mac = createHmac("sha256", this.#key);
    mac.update(JSON.stringify([mediaId, thumbnail, expiresAtMs]));
    return mac.digest().subarray(0, SEAL_BYTES);
  }

  /** Throws PERMISSION_DENIED when the URL was not made here, or its time is over. */
  check(sealed: Sealed, seal: Uint8Array): void {
    if (seal.length !== SEAL_BYTES || !timingSafeEqual(seal, this.seal(sealed))) {
      throw new RpcError("PERMISSION_DENIED", "this address is not one of ours: ask for one");
    }
    if (sealed.expiresAtMs > this.#now()) return;
    const when = new Date(sealed.expiresAtMs).toISOString();
    throw new RpcError("PERMISSION_DENIED", `this address was good until ${when}: ask for another`);
  }
}
