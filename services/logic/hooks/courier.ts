/**
 * Bringing items to an integrator's server, in order, many in a request: again and again with growing pauses,
 * and not for ever. What is given up is handed back, and the next goes on, so a server that is down or
 * refuses something delays a stream by one round of attempts.
 */
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { restUnless } from "../../svrkit/rest.ts";
import type { Endpoint } from "./endpoint.ts";
import { type AttemptLimits, pauseAfter } from "./plan/attempts.ts";
import type { Json } from "./plan/event.ts";

/** Of a request; one item may be larger. */
const BODY_CHARACTERS_MAX = 256 * 1024;

const delivered = monitorId("hooks.delivered");
const failures = monitorId("hooks.post_failures");
const givenUp = monitorId("hooks.given_up");

export interface CourierParts {
  readonly endpoint: Pick<Endpoint, "post">;
  /** The one field of a request's body: "events", "pushes". */
  readonly field: string;
  readonly limits: AttemptLimits & { readonly itemsMax: number };
  readonly stopped: AbortSignal;
  /** Why the server takes nothing; undefined when it does again. */
  readonly onTrouble: (why: string | undefined) => void;
  readonly random: () => number;
}

export interface GivenUp {
  /** Position among the items. */
  readonly at: number;
  readonly why: string;
}

interface Parcel {
  readonly at: number;
  readonly json: string;
}

export class Courier {
  readonly #parts: CourierParts;
  /** All attempts of an earlier request failed, and nothing was taken since. */
  #isDown = false;

  constructor(parts: CourierParts) {
    this.#parts = parts;
  }

  /** Resolves to what was given up when all else was taken; rejects only when the service stops. */
  async deliver(items: readonly Json[]): Promise<GivenUp[]> {
    const left: GivenUp[] = [];
    const parcels = items.map((item, at) => ({ at, json: JSON.stringify(item) }));
    for (const request of requestsOf(parcels, this.#parts.limits.itemsMax))
      left.push(...(await this.#deliver(request)));
    monitor.add(givenUp, left.length);
    return left;
  }

  async #deliver(parcels: readonly Parcel[]): Promise<GivenUp[]> {
    const { endpoint, field, limits, stopped, onTrouble, random } = this.#parts;
    const body = `{"${field}":[${parcels.map(({ json }) => json).join(",")}]}`;
    for (let failed = 1; ; failed++) {
      stopped.throwIfAborted();
      const outcome = await endpoint.post(body, stopped);
      if (outcome.kind === "failed") {
        stopped.throwIfAborted();
        monitor.add(failures, 1);
        const pauseMs = pauseAfter(failed, limits, { isDown: this.#isDown, jitter: random() });
        if (pauseMs !== undefined) {
          await restUnless(stopped, pauseMs);
          continue;
        }
        this.#isDown = true;
        onTrouble(outcome.why);
        return parcels.map(({ at }) => ({ at, why: outcome.why }));
      }
      if (this.#isDown) onTrouble(undefined);
      this.#isDown = false;
      if (outcome.kind === "taken") {
        monitor.add(delivered, parcels.length);
        return [];
      }
      monitor.add(failures, 1);
      // One of them it does not want: which one, it says when they come one by one.
      const [only, ...others] = parcels;
      if (others.length === 0) return [{ at: only!.at, why: outcome.why }];
      const left: GivenUp[] = [];
      for (const parcel of parcels) left.push(...(await this.#deliver([parcel])));
      return left;
    }
  }
}

function requestsOf(parcels: readonly Parcel[], itemsMax: number): Parcel[][] {
  const requests: Parcel[][] = [];
  let characters = 0;
  for (const parcel of parcels) {
    const last = requests.at(-1);
    characters += parcel.json.length;
    if (last === undefined || last.length >= itemsMax || characters > BODY_CHARACTERS_MAX) {
      requests.push([parcel]);
      characters = parcel.json.length;
    } else last.push(parcel);
  }
  return requests;
}
