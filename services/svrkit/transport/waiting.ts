/** What can be said of a call that waits for its answer, wherever that is to come from. */
import { RpcError } from "../errors.ts";
import type { Unanswered } from "./unanswered.ts";

export interface Waiting {
  readonly deadlineMs: number;
  /** From when on the call is late. */
  readonly lateMs: number;
  /** The asker's own process stood still for so long: it could not hear meanwhile. */
  excuse(ms: number): void;
  /** `isAnswer`: the other side says so; else it never got the call, or its answer did not come. */
  fail(error: RpcError, isAnswer: boolean): void;
  /** Once: it has become late, or the other side has fallen silent. The answer may still come. */
  linger(why: "late" | "silent"): void;
}

/**
 * Fails the calls whose deadline has passed; the answer, should it come, is dropped. `who` owes them.
 * `loopLateMs`: so late this process looks itself.
 */
export function expireWaiting<T extends Waiting>(
  waiters: Unanswered<T>,
  { nowMs, loopLateMs, who }: { nowMs: number; loopLateMs: number; who: string },
): void {
  waiters.visit((callId, waiter) => {
    if (loopLateMs > 0) waiter.excuse(loopLateMs);
    if (waiter.lateMs <= nowMs) waiter.linger("late");
    if (waiter.deadlineMs > nowMs || waiters.take(callId) === undefined) return;
    waiter.fail(new RpcError("DEADLINE_EXCEEDED", `${who} did not answer in time`), false);
  });
}
