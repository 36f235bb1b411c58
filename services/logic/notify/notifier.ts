/**
 * Telling connected devices that their inbox has something newer.
 *
 * A push is a hint: losing every one of them costs a device at most one fallback sync. So nobody
 * waits for it, nothing is retried, and when too many are on their way already the next is dropped
 * and counted. The row itself rides along where it directly follows what the device has.
 */
import {
  makePushRequest,
  Push,
  type PushRequest,
  type PushTarget,
} from "../../../protos/gen/tricampus/access/v1/push_codec.ts";
import type { Location } from "../../../protos/gen/tricampus/router/v1/router_codec.ts";
import { locate } from "../../router/client.ts";
import type { Callee } from "../../svrkit/client.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import type { ServiceContext } from "../../svrkit/context.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";

const TIMEOUT_MS = 300;
const IN_FLIGHT_MAX = 256;

const pushed = monitorId("notify.pushed");
const dropped = monitorId("notify.dropped");
const failed = monitorId("notify.failed");

export interface NotifyTarget {
  readonly userId: string;
  /** The inbox's version with the messages. */
  readonly version: number;
  /** The rows make up this version alone, so that a device at the one before may add them. */
  readonly alone: boolean;
}

/**
 * What the targets' inboxes got; "nothing": a version without anything that a device shows. Devices
 * that know the rows already get them, too: only so do they go along with the version.
 */
export type Notified =
  | Partial<Pick<PushRequest, "messages" | "settings">>
  | "nothing"
  | "other parts";

export class Notifier {
  readonly #router: Callee;
  readonly #access: Callee;
  readonly #campuses: readonly string[];
  #inFlight = 0;

  constructor(context: Pick<ServiceContext, "callee" | "campuses">) {
    this.#router = context.callee("router");
    this.#access = context.callee("access");
    this.#campuses = context.campuses;
  }

  /** Returns at once. `trace`: of what is told of. */
  notify(notified: Notified, targets: readonly NotifyTarget[], trace = NO_BYTES): void {
    if (targets.length === 0) return;
    if (this.#inFlight >= IN_FLIGHT_MAX) {
      monitor.add(dropped, 1);
      return;
    }
    this.#inFlight += 1;
    this.#push(notified, targets, trace)
      .catch(() => {
        monitor.add(failed, 1);
      })
      .finally(() => {
        this.#inFlight -= 1;
      });
  }

  /** The account or the contacts of these users have something newer. Returns at once. */
  hint(userIds: readonly string[]): void {
    const targets = userIds.map((userId) => ({ userId, version: 0, alone: false }));
    this.notify("other parts", targets);
  }

  async #push(
    notified: Notified,
    targets: readonly NotifyTarget[],
    trace: Uint8Array,
  ): Promise<void> {
    const rows = rowsOf(notified);
    const byUser = new Map(targets.map((target) => [target.userId, target]));
    const options = { timeoutMs: TIMEOUT_MS, trace };
    const locations = await locate(this.#router, [...byUser.keys()], options);
    const byCampus = pushTargets(locations, byUser);
    const calls = [...byCampus].map(([campus, atCampus]) => {
      const index = this.#campuses.indexOf(campus);
      if (index < 0) return undefined;
      monitor.add(pushed, atCampus.length);
      const request = makePushRequest({ ...rows, targets: atCampus });
      return this.#access.call(Push.push, request, { ...options, order: [index] });
    });
    await Promise.all(calls);
  }
}

function rowsOf(notified: Notified): Partial<PushRequest> {
  if (notified === "nothing") return { showsNothing: true };
  return notified === "other parts" ? { otherParts: true } : notified;
}

/** Which connections to tell, by the campus that holds them. */
export function pushTargets(
  locations: readonly Location[],
  byUser: ReadonlyMap<string, NotifyTarget>,
): Map<string, PushTarget[]> {
  const byCampus = new Map<string, PushTarget[]>();
  for (const { userId, campus, number: connection } of locations) {
    const target = byUser.get(userId);
    if (target === undefined) continue;
    const { version, alone } = target;
    const push = { connection, userId, version, follows: alone ? version - 1 : 0 };
    const atCampus = byCampus.get(campus);
    if (atCampus === undefined) byCampus.set(campus, [push]);
    else atCampus.push(push);
  }
  return byCampus;
}
