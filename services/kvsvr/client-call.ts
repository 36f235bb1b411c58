/** What reads and writes of clients have in common: how an outcome is told, and the wait for what is frozen. */
import { monotonicMs } from "../svrkit/call.ts";
import { RpcError } from "../svrkit/errors.ts";
import { FROZEN_WAIT_MS } from "./limits.ts";
import { IS_FROZEN, type Replica } from "./replica.ts";
import type { Entry } from "./storage/entry.ts";

/** Hears the outcome of one operation, once. */
export type Done<O> = (outcome: O | RpcError) => void;

/** An operation told by callback as a promise; what it throws at once rejects too. */
export function asPromise<O>(run: (done: (outcome: O | RpcError) => void) => void): Promise<O> {
  return new Promise((resolve, reject) => {
    run((outcome) => {
      if (outcome instanceof RpcError) reject(outcome);
      else resolve(outcome);
    });
  });
}

/**
 * Goes on when the key is not frozen any more (S5). It would be a read that is late otherwise: another
 * replica may have heard before this one how forgetting ended.
 */
export function whenThawed(
  replica: Replica,
  entry: Entry,
  { deadlineMs, done, again }: { deadlineMs: number; done: Done<never>; again: () => void },
): void {
  const { slots } = replica;
  const waitMs = Math.min(FROZEN_WAIT_MS, deadlineMs - monotonicMs());
  const goOn = () => {
    if (replica.isFrozen(entry)) throw new RpcError("UNAVAILABLE", IS_FROZEN);
    again();
  };
  slots
    .thawed(Math.max(0, waitMs))
    .then(goOn)
    .catch((error: unknown) => done(RpcError.from(error)));
}
