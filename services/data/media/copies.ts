/**
 * The parts of media over three campuses. An engine that keeps its bytes in one campus has a copy in each:
 * storing is done when two have it durably (promise 1), the third gets it at the same time and is not waited
 * for. Reading takes the own copy, checks it against its name, and when it is missing or damaged takes
 * another campus's and stores it again here.
 */
import {
  MediaData,
  type RemoveMediaRequest,
} from "../../../protos/gen/tricampus/data/v1/media_codec.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { hashOf } from "./client.ts";
import type { PartEngine } from "./parts/engine.ts";

const COPIES_NEEDED = 2;
/** Bytes are more than a message: a slow disk is waited for longer than a silent peer. */
const STORE_TIMEOUT_MS = 4_000;
const LOOK_TIMEOUT_MS = 2_000;

const repaired = monitorId("media.parts_repaired");
const damaged = monitorId("media.parts_damaged");

export function isNamed(data: Uint8Array, hash: Uint8Array): boolean {
  return hashOf(data).equals(hash);
}

export interface CopiesParts {
  readonly engine: PartEngine;
  /** The service itself, in all campuses. */
  readonly peers: Callee;
  /** This campus is the `own`-th. */
  readonly own: number;
}

export class Copies {
  readonly #engine: PartEngine;
  readonly #peers: Callee;
  readonly #others: readonly number[];

  constructor({ engine, peers, own }: CopiesParts) {
    this.#engine = engine;
    this.#peers = peers;
    const all = peers.peers.map((_, index) => index);
    this.#others = engine.isShared ? [] : all.filter((index) => index !== own);
  }

  /** `data` must be what `hash` names. Resolves when it survives the loss of a campus. */
  async put(mediaId: string, hash: Uint8Array, data: Uint8Array): Promise<void> {
    const request = { mediaId, hash, data };
    const options = { timeoutMs: STORE_TIMEOUT_MS };
    const stores = [
      this.#engine.put(mediaId, hash, data),
      ...this.#others.map((index) =>
        this.#peers.callOne(index, MediaData.storeHere, request, options),
      ),
    ];
    await enough(stores, Math.min(stores.length, COPIES_NEEDED));
  }

  /** In this campus alone: another one asked for it. */
  putHere(mediaId: string, hash: Uint8Array, data: Uint8Array): Promise<void> {
    return this.#engine.put(mediaId, hash, data);
  }

  async get(mediaId: string, hash: Uint8Array, options: CallOptions): Promise<Buffer | undefined> {
    const own = await this.here(mediaId, hash);
    if (own !== undefined) return own;
    for (const index of this.#others) {
      const call = { ...options, timeoutMs: LOOK_TIMEOUT_MS };
      const found = await this.#peers
        .callOne(index, MediaData.loadHere, { mediaId, hash }, call)
        .catch(() => undefined);
      if (found?.found !== true || !isNamed(found.data, hash)) continue;
      const data = Buffer.from(found.data);
      // A reader does not wait for what is only repaired.
      this.#engine.put(mediaId, hash, data).then(
        () => {
          monitor.add(repaired, 1);
        },
        () => {},
      );
      return data;
    }
    return undefined;
  }

  /** What this campus's engine has, if it is what it should be. */
  async here(mediaId: string, hash: Uint8Array): Promise<Buffer | undefined> {
    const data = await this.#engine.get(mediaId, hash).catch(() => undefined);
    if (data === undefined || isNamed(data, hash)) return data;
    monitor.add(damaged, 1);
    return undefined;
  }

  /** Indexes of the parts that fewer than two campuses have, as far as they answer. */
  async missing(mediaId: string, hashes: readonly Uint8Array[]): Promise<number[]> {
    const request = { mediaId, hashes: [...hashes] };
    const options = { timeoutMs: LOOK_TIMEOUT_MS };
    const answers = await Promise.all([
      this.missingHere(mediaId, hashes),
      ...this.#others.map((index) =>
        this.#peers.callOne(index, MediaData.haveHere, request, options).then(
          ({ missing }) => missing,
          () => hashes.map((_, at) => at),
        ),
      ),
    ]);
    const lacking = answers.map((missing) => new Set(missing));
    const needed = Math.min(answers.length, COPIES_NEEDED);
    return hashes.flatMap((_, at) => {
      const has = lacking.filter((missing) => !missing.has(at)).length;
      return has < needed ? [at] : [];
    });
  }

  async missingHere(mediaId: string, hashes: readonly Uint8Array[]): Promise<number[]> {
    const missing: number[] = [];
    for (const [at, hash] of hashes.entries()) {
      if (!(await this.#engine.has(mediaId, hash))) missing.push(at);
    }
    return missing;
  }

  /** All parts, or these, everywhere, as far as campuses answer; what is left of a medium a sweep removes. */
  async drop(mediaId: string, hashes: readonly Uint8Array[] = []): Promise<void> {
    const options = { timeoutMs: LOOK_TIMEOUT_MS };
    const request = { mediaId, hashes: [...hashes] };
    await Promise.allSettled([
      this.dropHere(request),
      ...this.#others.map((index) =>
        this.#peers.callOne(index, MediaData.dropHere, request, options),
      ),
    ]);
  }

  async dropHere({ mediaId, hashes }: RemoveMediaRequest): Promise<void> {
    if (hashes.length === 0) await this.#engine.drop(mediaId);
    for (const hash of hashes) await this.#engine.remove(mediaId, hash);
  }

  /** Stores what this campus should have and has not; returns how many parts that were. */
  async repair(mediaId: string, hashes: readonly Uint8Array[]): Promise<number> {
    const missing = await this.missingHere(mediaId, hashes);
    let found = 0;
    for (const at of missing) {
      if ((await this.get(mediaId, hashes[at]!, {})) !== undefined) found += 1;
    }
    return found;
  }
}

/** Resolves when so many have succeeded; rejects with the last reason when they cannot any more. */
function enough(attempts: readonly Promise<unknown>[], needed: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let done = 0;
    let failed = 0;
    for (const attempt of attempts) {
      attempt.then(
        () => {
          done += 1;
          if (done === needed) resolve();
        },
        (error: unknown) => {
          failed += 1;
          if (attempts.length - failed >= needed) return;
          const { code, message } = RpcError.from(error);
          // A disk's own words help; whatever else it was, too few campuses have it.
          reject(
            code === "STORAGE_REFUSED"
              ? error
              : new RpcError("NO_QUORUM", `too few campuses could store it: ${message}`),
          );
        },
      );
    }
  });
}
