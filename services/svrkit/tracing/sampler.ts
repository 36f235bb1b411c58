/**
 * Which requests are traced: decided once, where a request enters the platform, at random or because its
 * sender asks for it. A sender can ask for anything, so only a few a second are heeded.
 */
import { TokenBuckets } from "../admission/token-buckets.ts";

const FORCED_PER_SECOND = 10;
const FORCED_BURST = 50;

export class Sampler {
  #share: number;
  readonly #forced = new TokenBuckets({ perSecond: FORCED_PER_SECOND, burst: FORCED_BURST });

  /** `share`: of all requests, 0 to 1. */
  constructor(share: number) {
    this.#share = share;
  }

  setShare(share: number): void {
    this.#share = share;
  }

  /** `nowMs`: monotonic. */
  takes(isForced: boolean, nowMs: number): boolean {
    return (isForced && this.#forced.take("", nowMs)) || Math.random() < this.#share;
  }
}
