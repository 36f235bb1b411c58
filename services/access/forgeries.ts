/**
 * Forged tickets cost 60 us each to tell, which anybody could have done by the thousand: signatures are checked at a
 * bounded rate an address. Good ones cost nothing, and those that were seen before are not checked again.
 */
import { TokenBuckets } from "../svrkit/admission/token-buckets.ts";
import type { CheckLimit } from "../svrkit/ticket/verify.ts";
import { FORGERIES_BURST, FORGERIES_PER_SECOND } from "./limits.ts";

export class Forgeries {
  readonly #buckets = new TokenBuckets({ perSecond: FORGERIES_PER_SECOND, burst: FORGERIES_BURST });
  readonly #now: () => number;

  /** `now`: monotonic ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** `address`: as client-address.ts has it. */
  limitOf(address: string): CheckLimit {
    return {
      take: () => this.#buckets.take(address, this.#now()),
      giveBack: () => this.#buckets.giveBack(address, this.#now()),
    };
  }
}
