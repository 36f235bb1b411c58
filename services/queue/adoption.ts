/**
 * Nobody may wait for an entry because its stream's writer died: every queue service looks at what its
 * own campus's logs hold unconsumed, and has streams with an old entry looked after by the campus
 * that wrote last, or, when that does not answer, by the one that is to write them now.
 *
 * An entry that was acknowledged lies in two campuses, so the loss of one leaves a finder. Being asked
 * without need costs the asked campus a look into a map, which also repeats a trim that got lost.
 */
import type { StreamState } from "../../protos/gen/tricampus/queue/v1/log_codec.ts";
import { type Orphan, Queue } from "../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import type { Callee } from "../svrkit/client.ts";
import type { Logger } from "../svrkit/log.ts";
import { campusesOf } from "./handlers.ts";
import { ADOPT_AGE_MS, ADOPT_INTERVAL_MS, ADOPT_STREAMS_MAX, ADOPT_TIMEOUT_MS } from "./limits.ts";
import type { LogGroup } from "./log-group.ts";
import { campusOf } from "./protocol/epoch.ts";
import { adoptingCampus } from "./protocol/placement.ts";
import { parseLogStream } from "./protocol/segments.ts";

export interface AdoptionParts {
  readonly groups: ReadonlyMap<number, LogGroup>;
  readonly queues: Callee;
  readonly own: number;
  readonly log: Logger;
}

export class Adoption {
  readonly #parts: AdoptionParts;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(parts: AdoptionParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#look()
        .catch((err: unknown) => this.#parts.log.debug({ err }, "no log could be asked"))
        .finally(() => {
          if (!this.#isStopped) this.start();
        });
    }, ADOPT_INTERVAL_MS);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    const looking = [...this.#parts.groups.values()].map(async (group) => {
      const states = await group.untrimmed(this.#parts.own, ADOPT_TIMEOUT_MS);
      await this.#askFor(group.group, states);
    });
    await Promise.all(looking);
  }

  async #askFor(group: number, states: readonly StreamState[]): Promise<void> {
    const { queues, own } = this.#parts;
    const campuses = campusesOf(queues, own);
    const orphansOf = new Map<number, Orphan[]>();
    for (const { stream: logStream, lastSlot, oldestAgeMs, promised } of states) {
      if (oldestAgeMs < ADOPT_AGE_MS) continue;
      const lastWriter = promised === undefined ? "" : campusOf(promised);
      const lastCampus = queues.peers.findIndex((peer) => peer.campus === lastWriter);
      const target = adoptingCampus(parseLogStream(logStream).stream, lastCampus, campuses);
      const orphans = orphansOf.get(target) ?? [];
      if (orphans.length < ADOPT_STREAMS_MAX)
        orphans.push({ logStream, promised, lastSlot, group });
      orphansOf.set(target, orphans);
    }
    const asking = [...orphansOf].map(([target, orphans]) =>
      queues.callOne(target, Queue.adopt, { orphans }, { timeoutMs: ADOPT_TIMEOUT_MS }),
    );
    await Promise.all(asking);
  }
}
