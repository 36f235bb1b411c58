/** What a server asks before it works: may this call in, and is it still worth its start? */
export interface Admission {
  /** The lowest priority number that is refused now; told to callers, who refuse by it themselves. */
  level(nowMs: number): number;
  /** A call has arrived; false: refuse it. */
  arrive(priority: number, nowMs: number): boolean;
  /** Its turn has come, so long after it may have arrived; false: refuse it now. */
  start(priority: number, waitedMs: number, nowMs: number): boolean;
  /** It was let in, and its caller's time was over before its turn, so long after it may have arrived. */
  expired(waitedMs: number): void;
  /** A call that was started has been answered. */
  ended(nowMs: number): void;
  /** A call that is never shed has begun. */
  passed(): void;
  /** Up to its first wait a call took so long: for what may be shed, and for what never is. */
  worked(sheddableMs: number, otherMs: number): void;
  /** What a call works after its first wait, ms, on average. */
  readonly laterMs: number;
}

/** What the thread has done since it began: sums. */
export interface ThreadTimes {
  /** CPU time used, and time with nothing to do, ms. */
  readonly usedMs: number;
  readonly idleMs: number;
  /** Calls of its own that have ended, with which whoever made them goes on: those that may be shed, and others. */
  readonly sheddableEnded: number;
  readonly othersEnded: number;
}
