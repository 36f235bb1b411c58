/**
 * Bringing moments into timelines, behind their commit point and beside everything else: nobody waits for it.
 * What stops on its way (a process that died, a store that was busy) is in the author's table and found again by
 * a campus that looks after its share of authors, and by the others when that one takes too long.
 */
import {
  MomentsData,
  type OpenDelivery,
} from "../../../protos/gen/tricampus/data/v1/moments_codec.ts";
import { priorityOf, USER_BUCKETS } from "../../svrkit/admission/priority.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import type { Logger } from "../../svrkit/log.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";

const AT_ONCE_MAX = 8;
const TIMEOUT_MS = 10_000;
/** Other campuses wait so many times longer before they do what is not theirs. */
const OTHERS_WAIT = 4;

const delivered = monitorId("moments.delivered");
const left = monitorId("moments.left_to_sweep");

export interface DeliveriesParts {
  readonly moments: Callee;
  /** This campus is the `own`-th of so many. */
  readonly own: number;
  readonly campuses: number;
  readonly everyMs: number;
  readonly stoppedAfterMs: number;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class Deliveries {
  readonly #parts: DeliveriesParts;
  readonly #running = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  #sweep: Promise<void> | undefined;
  #stopped = false;

  constructor(parts: DeliveriesParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.#startSweep(), parts.everyMs * (0.75 + Math.random() / 2));
    this.#timer.unref();
  }

  /** Returns at once; when too many are under way, it is left to the sweep. */
  begin(delivery: OpenDelivery): void {
    if (this.#stopped || this.#running.size >= AT_ONCE_MAX) {
      monitor.add(left, 1);
      return;
    }
    const run = this.#deliver(delivery)
      .catch(() => {
        monitor.add(left, 1);
      })
      .finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await Promise.all([...this.#running, this.#sweep]);
  }

  async #deliver(delivery: OpenDelivery): Promise<void> {
    const { moments } = this.#parts;
    const { authorId, momentId } = delivery;
    await moments.call(MomentsData.deliver, { delivery }, optionsNow());
    await moments.call(MomentsData.close, { authorId, momentId }, optionsNow());
    monitor.add(delivered, 1);
  }

  #startSweep(): void {
    this.#sweep ??= this.#sweepAll()
      .catch((error: unknown) => {
        this.#parts.log.debug({ err: error }, "open deliveries could not be read");
      })
      .finally(() => {
        this.#sweep = undefined;
      });
  }

  async #sweepAll(): Promise<void> {
    const { moments, own, campuses, stoppedAfterMs, now } = this.#parts;
    for (let share = 0; share < campuses && !this.#stopped; share++) {
      const waitMs = stoppedAfterMs * (share === own ? 1 : OTHERS_WAIT);
      const request = { share, beforeMs: now() - waitMs };
      const { deliveries } = await moments.call(MomentsData.open, request, optionsNow());
      for (const delivery of deliveries) if (!this.#stopped) await this.#deliver(delivery);
    }
  }
}

function optionsNow(): CallOptions {
  const priority = priorityOf("moments", Math.floor(Math.random() * USER_BUCKETS));
  return { timeoutMs: TIMEOUT_MS, priority };
}
