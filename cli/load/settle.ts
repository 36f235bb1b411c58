/**
 * The end of a load: when devices close, nothing is on its way any more that the ledger will ask for.
 *
 * Whoever sends is told after 5 s that nobody answered; the message itself goes on in the device's outbox, and
 * may be acknowledged, and so be required of everybody, for as long as its device is open. Generators are not in
 * step: the other side of its conversation may have closed by then. So all of them wait first until no send is
 * open, and give up what nobody answers; from then on what is required does not grow. What is required then
 * arrives, every device syncs, and only then do they close. The tempting other way, to require only what was
 * acknowledged before the load ended, would not look at what was acknowledged late, which is promised like the rest.
 */
import { rest } from "../../services/svrkit/rest.ts";
import type { Meter } from "./meter.ts";
import type { Named, Order } from "./orders.ts";

/** Sends and arrivals are waited for until nothing has moved for so long: twice what a lost push may cost. */
export const STILL_MS = 60_000;
/** As long as something moves it is waited for, but no longer than this. */
export const SETTLE_MS_MAX = 600_000;
/**
 * Nothing has come for so long: nothing is coming. What is expected alone does not say so: messages that arrive
 * and were never acknowledged make up for others that were.
 */
const QUIET_MS = 3_000;
/** What online devices have, the inboxes of the others have a moment later. */
const OTHERS_MS = 3_000;
const POLL_MS = 100;

interface Settling {
  /** Resolves when all generators have carried it out. */
  order(orderOf: (index: number) => Order): Promise<Named>;
  readonly meter: Meter;
  /** Whether some users were away. */
  readonly hasOffline: boolean;
  /** What is waited for now. */
  doing(words: string): void;
}

/** How waiting for arrivals ended: with all; with fewer than were expected; or while something still came. */
export type ArrivalsEnd = "all" | "short" | "coming";

/** Until no send is open, every device has everything, some have read, and all know of it. */
export async function settle({ order, meter, hasOffline, doing }: Settling): Promise<ArrivalsEnd> {
  doing("until every send has its outcome");
  await order(() => ({ kind: "quiet" }));
  doing("until everything has arrived");
  const ended = await arrivals(meter);
  if (hasOffline) await rest(OTHERS_MS);
  doing("every device syncs");
  for (const kind of ["sync", "read", "sync", "close"] as const) await order(() => ({ kind }));
  return ended;
}

/** Until every online device has everything and nothing comes any more, or nothing has moved for too long. */
export async function arrivals(meter: Meter): Promise<ArrivalsEnd> {
  const sinceMs = performance.now();
  for (;;) {
    const { arrived, expected } = meter.run;
    const nowMs = performance.now();
    const stillMs = nowMs - Math.max(sinceMs, meter.lastArrivalMs);
    if (arrived >= expected && stillMs > QUIET_MS) return "all";
    if (stillMs > STILL_MS) return "short";
    if (nowMs - sinceMs > SETTLE_MS_MAX) return "coming";
    await rest(POLL_MS);
  }
}
