/** What a server may do about too much work: nothing, and two well-known ways beside ours. */
import { AdaptiveLevel } from "../../services/svrkit/admission/adaptive-level.ts";
import type { Admission } from "../../services/svrkit/admission/admission.ts";
import { EVERYTHING } from "../../services/svrkit/admission/priority.ts";
import { readThread } from "../../services/svrkit/thread-times.ts";

export const STRATEGIES = ["none", "random", "codel", "ours"] as const;
export type Strategy = (typeof STRATEGIES)[number];

export function admissionOf(strategy: Strategy): Admission {
  switch (strategy) {
    case "none":
      return new NoAdmission();
    case "random":
      return new RandomReject();
    case "codel":
      return new CoDel();
    case "ours":
      return new AdaptiveLevel({ thread: readThread });
  }
}

/** Everything is let in, and waits. */
class NoAdmission implements Admission {
  level(_nowMs: number): number {
    return EVERYTHING;
  }

  arrive(_priority: number, _nowMs: number): boolean {
    return true;
  }

  start(_priority: number, _waitedMs: number, _nowMs: number): boolean {
    return true;
  }

  ended(): void {}

  expired(): void {}

  passed(): void {}

  worked(): void {}

  readonly laterMs: number = 0;
}

const WINDOW_MS = 100;
const THRESHOLD_MS = 20;
const POINTS = 0.05;
const RATE_MAX = 0.99;

/**
 * Random early reject, as phxrpc's FastReject does it: mean wait above 20 ms, five points more of the
 * calls are refused, else five points less. Every 100 ms instead of every second, so that a short run
 * shows what it comes to.
 */
class RandomReject extends NoAdmission {
  #rate = 0;
  #windowStartMs = 0;
  #started = 0;
  #waitedMs = 0;

  override arrive(_priority: number, nowMs: number): boolean {
    if (nowMs - this.#windowStartMs >= WINDOW_MS) this.#endWindow(nowMs);
    return Math.random() >= this.#rate;
  }

  override start(_priority: number, waitedMs: number): boolean {
    this.#started += 1;
    this.#waitedMs += waitedMs;
    return true;
  }

  #endWindow(nowMs: number): void {
    const isOverloaded = this.#started > 0 && this.#waitedMs / this.#started > THRESHOLD_MS;
    const rate = this.#rate + (isOverloaded ? POINTS : -POINTS);
    this.#rate = Math.min(RATE_MAX, Math.max(0, rate));
    this.#windowStartMs = nowMs;
    this.#started = 0;
    this.#waitedMs = 0;
  }
}

const TARGET_MS = 5;
const INTERVAL_MS = 100;

/**
 * CoDel (Nichols and Jacobson, RFC 8289) on the queue of calls: when every call of an interval has waited
 * longer than the target, calls are dropped when their turn comes, at growing frequency, until one has
 * waited less.
 */
class CoDel extends NoAdmission {
  #firstAboveMs = 0;
  #isDropping = false;
  #nextDropMs = 0;
  #count = 0;

  override start(_priority: number, waitedMs: number, nowMs: number): boolean {
    if (waitedMs < TARGET_MS) {
      this.#firstAboveMs = 0;
      this.#isDropping = false;
      return true;
    }
    if (this.#firstAboveMs === 0) this.#firstAboveMs = nowMs + INTERVAL_MS;
    if (this.#isDropping) {
      if (nowMs < this.#nextDropMs) return true;
      this.#count += 1;
      this.#nextDropMs += INTERVAL_MS / Math.sqrt(this.#count);
      return false;
    }
    if (nowMs < this.#firstAboveMs) return true;
    this.#isDropping = true;
    const isRecent = nowMs - this.#nextDropMs < 16 * INTERVAL_MS;
    this.#count = isRecent && this.#count > 2 ? this.#count - 2 : 1;
    this.#nextDropMs = nowMs + INTERVAL_MS / Math.sqrt(this.#count);
    return false;
  }
}
