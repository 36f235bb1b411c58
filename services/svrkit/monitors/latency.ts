/**
 * Durations counted in buckets of plain numbers: four to each doubling, so a percentile is right to 25 %,
 * and finding the bucket takes no loop and no logarithm.
 *
 * Bucket 4 k + q (k the exponent of the duration in microseconds) ends at 2^k (1 + (q + 1) / 4) us.
 */
export const LATENCY_BUCKETS = 4 * 27;
const LAST = LATENCY_BUCKETS - 1;
/** Holds all that are shorter than 4 us. */
const SMALL = 7;

export class Latencies {
  /** By bucket; the last one holds all that are longer than its begin (two minutes). */
  readonly counts = new Uint32Array(LATENCY_BUCKETS);
  sumMs = 0;

  add(ms: number): void {
    this.sumMs += ms;
    const us = (ms * 1_000) | 0;
    if (us < 4) {
      this.counts[SMALL]! += 1;
      return;
    }
    const exponent = 31 - Math.clz32(us);
    const bucket = 4 * exponent + ((us >>> (exponent - 2)) & 3);
    this.counts[bucket < LAST ? bucket : LAST]! += 1;
  }
}

/** Where a bucket ends, ms. */
export function bucketEndMs(bucket: number): number {
  return (2 ** Math.floor(bucket / 4) * (1 + ((bucket % 4) + 1) / 4)) / 1_000;
}

/** The duration that the given share (0-1) does not exceed, ms; 0 when nothing was counted. */
export function quantileMs(counts: ArrayLike<number>, share: number): number {
  const total = Array.prototype.reduce.call(counts, (sum, n) => (sum as number) + n, 0) as number;
  let left = Math.ceil(share * total);
  if (left === 0) return 0;
  for (let bucket = 0; bucket < counts.length; bucket++) {
    left -= counts[bucket]!;
    if (left <= 0) return bucketEndMs(bucket);
  }
  return bucketEndMs(counts.length - 1);
}
