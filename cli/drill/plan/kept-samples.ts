/**
 * The samples that become a drill's evidence: all of them, as long as they are few. When there are too many, ever
 * fewer of those in between are kept: counts only rise, so what rose between two times is the same without them. What
 * the figures depend on stays: everything around the block's beginning and end, and both sides of each restart and of
 * each change of what a process says of itself.
 */
import type { Sample } from "./evidence.ts";

/** Some 35 MB of evidence.json: hours of twenty processes before anything is left out. */
const KEPT_MAX = 200_000;
/** Around a mark, and of late, everything is kept. */
const DENSE_MS = 10_000;
/** A process is asked so often. */
const EVERY_FIRST_MS = 500;
const EVERY_LAST_MS = 3_600_000;
/** With so long a pause between samples there are too many restarts to keep. */
const TURNS_EVERY_MS_MAX = 60_000;

export class KeptSamples {
  /** In the order in which they were added; always the same array. */
  readonly samples: Sample[] = [];
  readonly #max: number;
  readonly #marks: number[] = [];
  #everyMs = EVERY_FIRST_MS;
  #thinnedAbove: number;

  constructor(max = KEPT_MAX) {
    this.#max = max;
    this.#thinnedAbove = max;
  }

  /** At that time something begins or ends; it is now, or a little while ago. */
  mark(atMs: number): void {
    this.#marks.push(atMs);
  }

  add(sample: Sample): void {
    this.samples.push(sample);
    if (this.samples.length > this.#thinnedAbove) this.#thin(sample.atMs);
  }

  #thin(nowMs: number): void {
    const { samples } = this;
    for (;;) {
      const isKept = this.#choose(nowMs);
      let kept = 0;
      for (const [i, sample] of samples.entries()) if (isKept[i] === 1) samples[kept++] = sample;
      samples.length = kept;
      if (kept <= this.#max / 2 || this.#everyMs >= EVERY_LAST_MS) break;
      this.#everyMs *= 2;
    }
    // Should so many have to stay, each that is added must not cost a look at all of them.
    this.#thinnedAbove = Math.max(this.#max, 2 * samples.length);
  }

  #choose(nowMs: number): Uint8Array {
    const { samples } = this;
    const isKept = new Uint8Array(samples.length);
    const keptAtMs = new Map<string, number>();
    const lastOf = new Map<string, number>();
    for (const [i, sample] of samples.entries()) {
      const { process, atMs } = sample;
      const last = lastOf.get(process);
      const isTurn = last !== undefined && this.#isTurn(samples[last]!, sample);
      if (isTurn) isKept[last] = 1;
      lastOf.set(process, i);
      const before = keptAtMs.get(process);
      const isDue = before === undefined || atMs - before >= this.#everyMs;
      if (!isDue && !isTurn && !this.#isDense(atMs, nowMs)) continue;
      isKept[i] = 1;
      keptAtMs.set(process, atMs);
    }
    for (const last of lastOf.values()) isKept[last] = 1;
    return isKept;
  }

  #isTurn(before: Sample, sample: Sample): boolean {
    if (this.#everyMs > TURNS_EVERY_MS_MAX) return false;
    return sample.uptimeMs < before.uptimeMs || sample.unready !== before.unready;
  }

  #isDense(atMs: number, nowMs: number): boolean {
    const isNear = (markMs: number) => Math.abs(markMs - atMs) <= DENSE_MS;
    return nowMs - atMs <= DENSE_MS || this.#marks.some(isNear);
  }
}
