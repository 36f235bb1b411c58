/**
 * What puts the parts of media right, once an hour and slowly: media that are here and were deleted while
 * this campus was away go, and what is left of uploads that were made into something else; those that another
 * campus has and this one lacks, because it was away or lost its disk, are copied. What an upload has just
 * begun is left alone.
 */

import type { MediaFacts } from "../../../protos/gen/tricampus/data/v1/media_codec.ts";
import { MediaData } from "../../../protos/gen/tricampus/data/v1/media_codec.ts";
import { LEAST } from "../../svrkit/admission/priority.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import type { Logger } from "../../svrkit/log.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { rest } from "../../svrkit/rest.ts";
import type { Copies } from "./copies.ts";
import type { PartEngine } from "./parts/engine.ts";
import { leftOver, partsOf } from "./rows.ts";

const PAGE = 200;
const OPTIONS: CallOptions = { timeoutMs: 5_000, priority: LEAST };
/**
 * What an upload left in an engine that all campuses share is looked for so long after its beginning. Such a
 * removal is a request for each part, and no campus that was away has a copy of its own there.
 */
const SHARED_LEFT_OVER_MS = 3 * 86_400_000;

const removed = monitorId("media.swept_away");
const failures = monitorId("media.sweep_failures");

export interface SweepParts {
  readonly engine: PartEngine;
  readonly copies: Copies;
  readonly peers: Callee;
  readonly own: number;
  /** undefined: it was deleted, or never begun. */
  readonly factsOf: (mediaId: string) => Promise<MediaFacts | undefined>;
  readonly everyMs: number;
  readonly restMs: number;
  readonly log: Logger;
}

export class Sweep {
  readonly #parts: SweepParts;
  readonly #timer: NodeJS.Timeout;
  #stopped = false;
  /** Media of this round that could not be put right. */
  #failed = 0;
  #round: Promise<void> | undefined;

  constructor(parts: SweepParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.#start(), parts.everyMs * (0.75 + Math.random() / 2));
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#round;
  }

  #start(): void {
    this.#round ??= this.run()
      .catch((error: unknown) => {
        monitor.add(failures, 1);
        this.#parts.log.warn({ err: error }, "a sweep ended early; the next one begins anew");
      })
      .finally(() => {
        this.#round = undefined;
      });
  }

  async run(): Promise<void> {
    const { engine, peers, own } = this.#parts;
    this.#failed = 0;
    await this.#each((after) => engine.list(after, PAGE), this.#putRight);
    if (engine.isShared) return;
    for (const index of peers.peers.keys()) {
      if (index === own) continue;
      const list = async (after: string) =>
        (await peers.callOne(index, MediaData.listHere, { after }, OPTIONS)).mediaIds;
      // A campus that does not answer is asked in the next round.
      await this.#each(list, this.#putRight).catch(() => {
        monitor.add(failures, 1);
      });
    }
  }

  async #each(
    list: (after: string) => Promise<string[]>,
    work: (mediaId: string) => Promise<void>,
  ): Promise<void> {
    for (let after = ""; !this.#stopped; ) {
      const page = await list(after);
      const last = page.at(-1);
      if (last === undefined) return;
      for (const mediaId of page) {
        if (this.#stopped) return;
        await work(mediaId);
        await rest(this.#parts.restMs);
      }
      after = last;
    }
  }

  /** One medium that cannot be put right, as of a damaged disk, does not keep the sweep from all others. */
  #fail(mediaId: string, error: unknown): void {
    monitor.add(failures, 1);
    this.#failed += 1;
    if (this.#failed > 1) return;
    const message = "a medium could not be put right, and maybe further ones: next sweep again";
    this.#parts.log.warn({ err: error, mediaId }, message);
  }

  readonly #putRight = async (mediaId: string): Promise<void> => {
    // Asked after the bytes were seen, which come after the facts: absent means gone.
    const facts = await this.#parts.factsOf(mediaId);
    const work = facts === undefined ? this.#drop(mediaId) : this.#complete(mediaId, facts);
    await work.catch((error: unknown) => this.#fail(mediaId, error));
  };

  async #drop(mediaId: string): Promise<void> {
    await this.#parts.engine.drop(mediaId);
    monitor.add(removed, 1);
  }

  async #complete(mediaId: string, facts: MediaFacts): Promise<void> {
    const { copies, engine } = this.#parts;
    if (!facts.finished) return;
    // Dropped when the upload was finished, unless this campus was away; a part that is repeated may come late.
    if (!engine.isShared || facts.createdAtMs + SHARED_LEFT_OVER_MS > Date.now())
      for (const hash of leftOver(facts)) await engine.remove(mediaId, hash);
    if (!engine.isShared) await copies.repair(mediaId, partsOf(facts));
  }
}
