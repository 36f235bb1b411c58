/**
 * Forged tickets cost 60 us each to tell, which anybody could have done by the thousand: signatures are checked at a
 * bounded rate an address, and beyond it as long as all addresses together leave room: people share addresses, and
 * one forger is not to shut out all others behind its own. Good ones cost nothing, and those that were seen before are
 * not checked again.
 */
import { TokenBuckets } from "../svrkit/admission/token-buckets.ts";
import type { CheckLimit } from "../svrkit/ticket/verify.ts";
import {
  FORGERIES_BURST,
  FORGERIES_PER_SECOND,
  SHARED_FORGERIES_BURST,
  SHARED_FORGERIES_PER_SECOND,
} from "./limits.ts";

const SHARED = "shared";

export class Forgeries {
  readonly #buckets = new TokenBuckets({ perSecond: FORGERIES_PER_SECOND, burst: FORGERIES_BURST });
  readonly #shared = new TokenBuckets({
    perSecond: SHARED_FORGERIES_PER_SECOND,
    burst: SHARED_FORGERIES_BURST,
  });
  readonly #now: () => number;

  /** `now`: monotonic ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** `address`: as client-address.ts has it. */
  limitOf(address: string): CheckLimit {
    let isOwn = true;
    return {
      take: () => {
        isOwn = this.#buckets.take(address, this.#now());
        return isOwn || this.#shared.take(SHARED, this.#now());
      },
      giveBack: () => {
        if (isOwn) this.#buckets.giveBack(address, this.#now());
        else this.#shared.giveBack(SHARED, this.#now());
      },
    };
  }
}
