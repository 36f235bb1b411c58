/**
 * A copy of one kind of objects that is never silently old.
 *
 *   list (in pages) -> watch -> watch -> ... ; after an error a pause and the next watch from where the
 *   last one was; when that version is not kept any more: list again, and tell what differs.
 *
 * A watch can fall silent without an error: a cut line, a load balancer that forgot it. No probe
 * beside it proves that it is alive, so no watch lives long: the server is asked to end it after some
 * seconds, and one that has not ended a little later is broken off. Shortly before it ends a watch
 * the server tells the version reached (a bookmark), so a quiet kind's version never ages either.
 * Thus everything is at most ten seconds old, or `ageMs` says so, for one request every seven seconds and
 * kind, over a connection that is kept.
 *
 * Servers leave a bookmark out that would say what the watch began from, and some send none. A watch that told nothing
 * and ended when it was asked to proves as much of the time of its beginning: what the server knew then it sends first,
 * it had all of the watch's life for that, and the end came over the same connection. It proves nothing when the server
 * is behind the version asked for; so a list of one object, which says the store's version, is asked for that. A quiet
 * kind is two watches' lives old at most, then, and no kind is listed anew because it is quiet.
 *
 * Versions go back when the server's store is put back from a backup, and a watch from one that it has not reached yet
 * is silent without an error. So a list is the truth, whatever its versions are; what comes with an older version than
 * was reached, or says nothing for long, is listed anew.
 */
import { restUnless } from "../../services/svrkit/rest.ts";
import { type ApiClient, ApiError } from "./api-client.ts";
import { Backoff } from "./backoff.ts";
import type { KubeObject } from "./object.ts";

interface Timing {
  /** The server ends a watch after so many seconds, whole ones, and a random part of the spread. */
  readonly watchSeconds: number;
  readonly spreadSeconds: number;
  /** One that has not ended so long after that is broken off. */
  readonly graceMs: number;
  /** What is so old when a watch ends, well or not, is listed anew: less than two watches' lives. */
  readonly relistMs: number;
}

const TIMING: Timing = { watchSeconds: 6, spreadSeconds: 3, graceMs: 1_000, relistMs: 12_000 };
/** So old a copy gets at most, but for what answers and pauses take, while lists or watches can be relied on. */
export const AGE_MS_MAX =
  2 * ((TIMING.watchSeconds + TIMING.spreadSeconds - 1) * 1_000 + TIMING.graceMs);
/** Lists take no larger share of the time than one in so many, however large they are, ... */
const LIST_SHARE = 10;
/** ... but what is so old is listed anew in any case. */
const RELIST_MS_MAX = 60_000;
const PAGE_LIMIT = 500;
/** As long as a server takes at most: broken off earlier, a list would begin anew and never end on a slow network. */
const PAGE_TIMEOUT_MS = 60_000;
const BACKOFF = { firstMs: 200, lastMs: 4_000 };
/** What lived so long was no failure; what ends sooner, and not by its end, is paused after. */
const LIVED_MS = 500;

/** What is kept of an object. */
export interface Cached {
  readonly resourceVersion: string;
}

/** Where copies are kept, by name: a Map, or what is smaller. */
export interface Items<T> extends Iterable<[string, T]> {
  get(name: string): T | undefined;
  set(name: string, item: T): unknown;
  delete(name: string): unknown;
}

export interface ListWatchOptions<T extends Cached> {
  readonly client: ApiClient;
  /** "/apis/apps/v1/namespaces/x/statefulsets" */
  readonly path: string;
  readonly labelSelector?: string | undefined;
  /** What is kept; undefined: the object is none of ours. */
  readonly project: (object: KubeObject) => T | undefined;
  readonly items?: Items<T>;
  /** Called after the copy has changed; `now` undefined: the object is gone. */
  readonly onChange: (key: string, now: T | undefined, before: T | undefined) => void;
  /** Told what goes wrong; nothing stops because of it. */
  readonly onTrouble: (error: Error) => void;
  readonly random?: () => number;
  readonly timing?: Timing;
}

export class ListWatch<T extends Cached> {
  readonly #options: ListWatchOptions<T>;
  readonly #timing: Timing;
  readonly #random: () => number;
  readonly #items: Items<T>;
  readonly #stop = new AbortController();
  readonly #synced = Promise.withResolvers<void>();
  #version: string | undefined;
  /** When the copy was last known to be what the server has. */
  #freshAtMs = Number.NEGATIVE_INFINITY;
  #listTookMs = 0;
  #running: Promise<void> | undefined;
  /** For metrics. */
  lists = 0;
  failures = 0;

  constructor(options: ListWatchOptions<T>) {
    this.#options = options;
    this.#timing = options.timing ?? TIMING;
    this.#items = options.items ?? new Map<string, T>();
    this.#random = options.random ?? Math.random;
  }

  /** By name: all are of one namespace, or of none. */
  get items(): Iterable<[string, T]> {
    return this.#items;
  }

  /** Resolves when everything was listed once. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  /** How old what is known may be; infinite before the first list. */
  get ageMs(): number {
    return performance.now() - this.#freshAtMs;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Nothing is called any more when it resolves. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const backoff = new Backoff(BACKOFF, this.#random);
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const startedAtMs = performance.now();
      let failure: unknown;
      try {
        if (this.#version === undefined) await this.#list();
        await this.#watch();
      } catch (error) {
        failure = error;
      }
      if (signal.aborted) return;
      // Whatever the reason is that nothing is heard from there: listing anew cannot fail for it.
      if (this.ageMs > this.#relistMs) this.#version = undefined;
      if (performance.now() - startedAtMs >= LIVED_MS) backoff.reset();
      else failure ??= new Error("the watch ended at once");
      if (failure === undefined) continue;
      const asked = this.#failed(failure);
      await restUnless(signal, Math.max(asked, backoff.nextMs())).catch(() => {});
    }
  }

  get #relistMs(): number {
    const ofList = Math.min(LIST_SHARE * this.#listTookMs, RELIST_MS_MAX);
    return Math.max(this.#timing.relistMs, ofList);
  }

  /** For how long the server asked to be left alone. */
  #failed(error: unknown): number {
    this.failures += 1;
    if (error instanceof ApiError && error.isExpired) this.#version = undefined;
    this.#options.onTrouble(error instanceof Error ? error : new Error(String(error)));
    return error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
  }

  async #list(): Promise<void> {
    const { client } = this.#options;
    const startedAtMs = performance.now();
    const seen = new Set<string>();
    let page: { metadata: { resourceVersion: string; continue?: string }; items: KubeObject[] };
    let from = "";
    do {
      const query = this.#query({ limit: String(PAGE_LIMIT), ...(from && { continue: from }) });
      const { signal } = this.#stop;
      const timeoutMs = PAGE_TIMEOUT_MS;
      const asked = { method: "GET", path: query, signal, isPaced: true, timeoutMs } as const;
      page = await client.request<typeof page>(asked);
      for (const object of page.items ?? []) {
        const key = object.metadata.name;
        seen.add(key);
        if (this.#items.get(key)?.resourceVersion !== object.metadata.resourceVersion)
          this.#take(key, object);
      }
      from = page.metadata.continue ?? "";
    } while (from !== "");
    for (const [key, before] of this.#items) if (!seen.has(key)) this.#remove(key, before);
    this.lists += 1;
    this.#version = page.metadata.resourceVersion;
    this.#freshAtMs = startedAtMs;
    this.#listTookMs = performance.now() - startedAtMs;
    this.#synced.resolve();
  }

  async #watch(): Promise<void> {
    const { watchSeconds, spreadSeconds, graceMs } = this.#timing;
    const seconds = watchSeconds + Math.floor(this.#random() * spreadSeconds);
    const begunAtMs = performance.now();
    const path = this.#query({
      watch: "1",
      allowWatchBookmarks: "true",
      timeoutSeconds: String(seconds),
      resourceVersion: this.#version!,
    });
    await this.#options.client.watch(path, {
      line: (text) => this.#heard(text),
      lifeMs: seconds * 1_000 + graceMs,
      signal: this.#stop.signal,
    });
    // Ended earlier, somebody else has ended it, who perhaps heard no more of the server than we.
    const hasLived = performance.now() - begunAtMs >= seconds * 1_000;
    if (hasLived && this.#freshAtMs < begunAtMs) await this.#confirm(begunAtMs);
  }

  /** Of a watch that told nothing and was ended by its time: the server was not behind what was asked for. */
  async #confirm(begunAtMs: number): Promise<void> {
    const { client, path } = this.#options;
    // Without a version the server looks into its store; without a selector it looks at one object only.
    const asked = { method: "GET", path: `${path}?limit=1`, isPaced: true } as const;
    const { signal } = this.#stop;
    const { metadata } = await client.request({ ...asked, signal });
    const version = metadata.resourceVersion!;
    this.#requireNotBack(version);
    if (isDecimal(version) && isDecimal(this.#version!)) this.#freshAtMs = begunAtMs;
  }

  #requireNotBack(version: string): void {
    if (!isOlder(version, this.#version!)) return;
    this.#version = undefined;
    throw new Error(`the server's versions went back, to ${version}: everything is listed anew`);
  }

  #heard(text: string): void {
    const { type, object } = JSON.parse(text) as { type: string; object: KubeObject };
    if (type === "ERROR") throw errorIn(object);
    const version = object.metadata.resourceVersion!;
    this.#requireNotBack(version);
    // A bookmark is of no object: it has a version, and no name.
    if (type === "ADDED" || type === "MODIFIED" || type === "DELETED") this.#changed(type, object);
    this.#version = version;
    this.#freshAtMs = performance.now();
  }

  #changed(type: string, object: KubeObject): void {
    const { name: key, resourceVersion } = object.metadata;
    const version = resourceVersion!;
    const before = this.#items.get(key);
    if (type === "DELETED") {
      if (before !== undefined && !isNewer(before.resourceVersion, version))
        this.#remove(key, before);
      return;
    }
    if (before === undefined || isNewer(version, before.resourceVersion)) this.#take(key, object);
  }

  #take(key: string, object: KubeObject): void {
    const before = this.#items.get(key);
    let now: T | undefined;
    try {
      now = this.#options.project(object);
    } catch (error) {
      // What cannot be understood is as if it were not there: no other object waits for it.
      this.#options.onTrouble(new Error(`${key}: ${(error as Error).message}`, { cause: error }));
    }
    if (now === undefined) {
      if (before !== undefined) this.#remove(key, before);
      return;
    }
    this.#items.set(key, now);
    this.#tell(key, now, before);
  }

  #remove(key: string, before: T): void {
    this.#items.delete(key);
    this.#tell(key, undefined, before);
  }

  #tell(key: string, now: T | undefined, before: T | undefined): void {
    try {
      this.#options.onChange(key, now, before);
    } catch (error) {
      this.#options.onTrouble(error as Error);
    }
  }

  #query(parameters: Record<string, string>): string {
    const { path, labelSelector } = this.#options;
    const query = new URLSearchParams(parameters);
    if (labelSelector !== undefined) query.set("labelSelector", labelSelector);
    return `${path}?${query}`;
  }
}

/** Versions are decimal numbers that may be longer than ours; others are only the same or not. */
export function isNewer(version: string, than: string): boolean {
  if (!isDecimal(version) || !isDecimal(than)) return version !== than;
  if (version.length !== than.length) return version.length > than.length;
  return version > than;
}

function isOlder(version: string, than: string): boolean {
  return isDecimal(version) && isDecimal(than) && isNewer(than, version);
}

function isDecimal(version: string): boolean {
  return /^\d+$/.test(version);
}

function errorIn(object: unknown): ApiError {
  const { code = 500, reason = "", message = "" } = object as Record<string, never>;
  return new ApiError(`the watch ended with ${code} ${message}`, { status: code, reason });
}
