/**
 * How fast each of many may do something: a token bucket each, of `burst` tokens, that gains `perSecond`.
 * Who was quiet for as long as a bucket takes to fill has a full one, so nothing is kept of it. Pure.
 */
interface Bucket {
  left: number;
  atMs: number;
}

export class TokenBuckets {
  #perMs = 0;
  #burst = 0;
  #fillMs = 0;
  /** Heard of since `#turnedAtMs`, and in the time before. */
  #recent = new Map<string, Bucket>();
  #before = new Map<string, Bucket>();
  #turnedAtMs = 0;

  constructor(rates: { perSecond: number; burst: number }) {
    this.setRates(rates);
  }

  /** From now on; what is in the buckets stays there, up to the new burst. */
  setRates({ perSecond, burst }: { perSecond: number; burst: number }): void {
    this.#perMs = perSecond / 1_000;
    this.#burst = burst;
    this.#fillMs = burst / this.#perMs;
  }

  /**
   * Takes so many tokens, or all that a full bucket has if that is less; false, and none taken: there are not
   * so many. `nowMs`: monotonic.
   */
  take(name: string, nowMs: number, count = 1): boolean {
    const bucket = this.#bucketOf(name, nowMs);
    const taken = Math.min(count, this.#burst);
    if (bucket.left < taken) return false;
    bucket.left -= taken;
    this.#recent.set(name, bucket);
    return true;
  }

  /** Puts a token back that was taken for something that turned out to need none. */
  giveBack(name: string, nowMs: number): void {
    const bucket = this.#bucketOf(name, nowMs);
    bucket.left = Math.min(this.#burst, bucket.left + 1);
  }

  #bucketOf(name: string, nowMs: number): Bucket {
    this.#turn(nowMs);
    const known = this.#recent.get(name) ?? this.#before.get(name);
    if (known === undefined) return { left: this.#burst, atMs: nowMs };
    known.left = Math.min(this.#burst, known.left + (nowMs - known.atMs) * this.#perMs);
    known.atMs = nowMs;
    return known;
  }

  #turn(nowMs: number): void {
    if (nowMs - this.#turnedAtMs < this.#fillMs) return;
    this.#before = this.#recent;
    this.#recent = new Map();
    this.#turnedAtMs = nowMs;
  }
}
