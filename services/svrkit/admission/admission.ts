/** What a server asks before it works: may this call in, and is it still worth its start? */
export interface Admission {
  /** The lowest priority number that is refused now; told to callers, who refuse by it themselves. */
  level(nowMs: number): number;
  /** A call has arrived; false: refuse it. */
  arrive(priority: number, nowMs: number): boolean;
  /** Its turn has come, so long after it may have arrived; false: refuse it now. */
  start(priority: number, waitedMs: number, nowMs: number): boolean;
  /** It was worked on, without what it waited for others. */
  worked(ms: number): void;
}
