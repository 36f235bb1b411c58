/**
 * Millions of latencies in a few kilobytes: buckets whose bounds grow by 2 %, so that a percentile
 * is right to 2 %. The maximum is exact.
 */
const GROWTH = Math.log(1.02);
const SMALLEST_MS = 0.01;
/** Up to about 5 hours. */
const BUCKETS = 1_080;

export interface HistogramCounts {
  readonly counts: readonly number[];
  readonly max: number;
}

/** Milliseconds. */
export interface LatencySummary {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export class Histogram {
  readonly #buckets = new Uint32Array(BUCKETS);
  count = 0;
  max = 0;

  add(ms: number): void {
    const bucket = ms <= SMALLEST_MS ? 0 : Math.ceil(Math.log(ms / SMALLEST_MS) / GROWTH);
    this.#buckets[Math.min(bucket, BUCKETS - 1)]! += 1;
    this.count += 1;
    if (ms > this.max) this.max = ms;
  }

  /** For another process: [bucket, count] pairs in one list. */
  toCounts(): HistogramCounts {
    const counts: number[] = [];
    for (const [bucket, count] of this.#buckets.entries())
      if (count > 0) counts.push(bucket, count);
    return { counts, max: this.max };
  }

  addCounts({ counts, max }: HistogramCounts): void {
    for (let i = 0; i < counts.length; i += 2) {
      this.#buckets[counts[i]!]! += counts[i + 1]!;
      this.count += counts[i + 1]!;
    }
    if (max > this.max) this.max = max;
  }

  /** The value that the given share (0-1) of all values does not exceed; 0 without values. */
  quantile(share: number): number {
    let left = Math.ceil(share * this.count);
    if (left === 0) return 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#buckets[bucket]!;
      if (left <= 0) return Math.min(this.max, SMALLEST_MS * Math.exp(bucket * GROWTH));
    }
    return this.max;
  }

  /** p50, p99 and max, in ms to one decimal. */
  summary(): LatencySummary {
    const round = (ms: number) => Math.round(ms * 10) / 10;
    return {
      p50: round(this.quantile(0.5)),
      p99: round(this.quantile(0.99)),
      max: round(this.max),
    };
  }
}
