/**
 * Bringing items to an integrator's server, in order, many in a request. While the server takes nothing they
 * wait, here and in the queue behind them, and one request at a time asks whether it does again
 * (receiver.ts). Handed back as given up is what the server refuses, what alone it never takes, what has
 * waited too long, and, when the queue has hardly room any more, of what waits here the request with the oldest
 * item, once it was tried in vain.
 */
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import type { Endpoint } from "./endpoint.ts";
import { type AttemptLimits, afterFailure } from "./plan/attempts.ts";
import type { Json } from "./plan/event.ts";
import { type Place, Receiver } from "./receiver.ts";

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
  /** Whether the queue has room for what comes while this waits. */
  readonly hasRoom: () => boolean;
  readonly random: () => number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface Item {
  readonly json: Json;
  /** When it came into the queue, milliseconds since 1970. */
  readonly sinceMs: number;
}

export interface GivenUp {
  /** Position among the items. */
  readonly at: number;
  readonly why: string;
}

interface Parcel {
  readonly at: number;
  readonly json: string;
  readonly sinceMs: number;
}

export class Courier {
  readonly #parts: CourierParts;
  readonly #receiver: Receiver;
  /** When the oldest item of each request that is not done came into the queue. */
  readonly #sinceMs = new Map<Place, number>();

  constructor(parts: CourierParts) {
    this.#parts = parts;
    this.#receiver = new Receiver(parts);
  }

  /** Resolves to what was given up when all else was taken; rejects only when the service stops. */
  async deliver(items: readonly Item[]): Promise<GivenUp[]> {
    const left: GivenUp[] = [];
    const parcels = items.map(({ json, sinceMs }, at) => ({
      at,
      json: JSON.stringify(json),
      sinceMs,
    }));
    for (const request of requestsOf(parcels, this.#parts.limits.itemsMax))
      left.push(...(await this.#deliver(request)));
    monitor.add(givenUp, left.length);
    return left;
  }

  async #deliver(parcels: readonly Parcel[]): Promise<GivenUp[]> {
    const place: Place = {};
    this.#sinceMs.set(place, Math.min(...parcels.map(({ sinceMs }) => sinceMs)));
    try {
      return await this.#bring(parcels, place);
    } finally {
      this.#sinceMs.delete(place);
    }
  }

  async #bring(all: readonly Parcel[], place: Place): Promise<GivenUp[]> {
    const { endpoint, field, limits, stopped } = this.#parts;
    const receiver = this.#receiver;
    const left: GivenUp[] = [];
    let parcels = all;
    /** Of the receiver, when this failed last, or was begun. */
    let answersSeen = receiver.answers;
    for (let failed = 0, alone = 0; ; ) {
      stopped.throwIfAborted();
      const isTurn = receiver.mayTry(place);
      // However long it lay in the queue: before it waits here it is tried, if nobody else is trying.
      if (receiver.why !== undefined && (failed > 0 || !isTurn)) {
        const hasRoom = this.#hasRoom(place, failed);
        const { expired, waiting } = this.#expire(parcels, { why: receiver.why, hasRoom });
        left.push(...expired);
        parcels = waiting;
      }
      if (parcels.length === 0) {
        receiver.leave(place);
        return left;
      }
      if (!isTurn) {
        await receiver.changed;
        continue;
      }
      const wasTaking = receiver.why === undefined;
      const body = `{"${field}":[${parcels.map(({ json }) => json).join(",")}]}`;
      const outcome = await endpoint.post(body, stopped);
      if (outcome.kind !== "failed") {
        receiver.answered(place);
        if (outcome.kind === "refused")
          return [...left, ...(await this.#refused(parcels, place, outcome))];
        monitor.add(delivered, parcels.length);
        return left;
      }
      stopped.throwIfAborted();
      monitor.add(failures, 1);
      failed += 1;
      const othersTaken = receiver.answers > answersSeen;
      answersSeen = receiver.answers;
      if (wasTaking && othersTaken) alone += 1;
      const facts = { failures: failed, alone, othersTaken, items: parcels.length };
      const next = afterFailure(facts, limits);
      const { why } = outcome;
      if (next === "give up") {
        receiver.leave(place);
        return [...left, ...parcels.map(({ at }) => ({ at, why }))];
      }
      await receiver.failed(place, { why, failures: alone, isAlone: othersTaken });
      if (next !== "apart") continue;
      receiver.leave(place);
      return [...left, ...(await this.#oneByOne(parcels, place))];
    }
  }

  /** One of them it does not want: which one, it says when they come one by one. */
  async #refused(
    parcels: readonly Parcel[],
    place: Place,
    { why }: { why: string },
  ): Promise<GivenUp[]> {
    monitor.add(failures, 1);
    if (parcels.length === 1) return [{ at: parcels[0]!.at, why }];
    return this.#oneByOne(parcels, place);
  }

  /** `place`: of the request that they were. */
  async #oneByOne(parcels: readonly Parcel[], place: Place): Promise<GivenUp[]> {
    this.#sinceMs.delete(place);
    const left: GivenUp[] = [];
    for (const parcel of parcels) left.push(...(await this.#deliver([parcel])));
    return left;
  }

  /** Whether a request may wait on. What was not tried may be what the server takes. */
  #hasRoom(place: Place, failures: number): boolean {
    if (failures === 0 || this.#parts.hasRoom()) return true;
    const ownMs = this.#sinceMs.get(place)!;
    return this.#sinceMs.values().some((sinceMs) => sinceMs < ownMs);
  }

  /** Of what waits for a server that is down: what has waited too long. */
  #expire(
    parcels: readonly Parcel[],
    { why, hasRoom }: { why: string; hasRoom: boolean },
  ): { expired: GivenUp[]; waiting: readonly Parcel[] } {
    const { limits, now } = this.#parts;
    if (!hasRoom) {
      const reason = `${why}; the queue has no room for it to wait`;
      return { expired: parcels.map(({ at }) => ({ at, why: reason })), waiting: [] };
    }
    const beforeMs = now() - limits.waitMaxMs;
    const isOld = ({ sinceMs }: Parcel) => sinceMs < beforeMs;
    const reason = `${why}; it has waited for ${Math.round(limits.waitMaxMs / 1_000)} s`;
    return {
      expired: parcels.filter(isOld).map(({ at }) => ({ at, why: reason })),
      waiting: parcels.filter((parcel) => !isOld(parcel)),
    };
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
