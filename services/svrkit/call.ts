/**
 * What travels with every call: who asks, on whose ticket, until when, under which operation id and
 * trace. A handler gets a Call; when it calls on, it passes `forward(call)` so that nothing is lost
 * on the way and the deadline only ever shrinks.
 */
import { NEVER_SHED } from "./admission/priority.ts";
import type { RpcError } from "./errors.ts";
import type { Span } from "./tracing/span.ts";

/** Monotonic milliseconds; the only clock svrkit measures durations with. */
export function monotonicMs(): number {
  return performance.now();
}

export interface Call {
  /** Monotonic time since when the call may have been waiting for this process. */
  readonly arrivedMs: number;
  /** Monotonic time at which the caller stops waiting. */
  readonly deadlineMs: number;
  /** 16 bytes, or empty when the caller gave none. */
  readonly operationId: Uint8Array;
  /** The user's ticket as it came, unverified; empty when there is none. */
  readonly ticket: Uint8Array;
  /** Name of the calling service; "" for a client outside. */
  readonly caller: string;
  /** W3C trace context, 25 bytes: of the span that stands for this call, when there is one. */
  readonly trace: Uint8Array;
  /** Only of a call whose trace is sampled. */
  readonly span?: Span | undefined;
  /** See admission/priority.ts; 0 is never shed. */
  readonly priority: number;
}

export interface CallOptions {
  /** Monotonic deadline; wins over timeoutMs. */
  readonly deadlineMs?: number | undefined;
  readonly timeoutMs?: number | undefined;
  readonly operationId?: Uint8Array | undefined;
  readonly ticket?: Uint8Array | undefined;
  readonly trace?: Uint8Array | undefined;
  readonly priority?: number | undefined;
  /** Another replica is asked too when no answer has come after so long; the first answer counts. */
  readonly hedgeAfterMs?: number | undefined;
  /** Of a call to one replica: its handler may wait for something to happen, and is not late meanwhile. */
  readonly waits?: boolean | undefined;
  /** Indexes of the callee's peers in the order to try; default: own campus, then the others evenly. */
  readonly order?: readonly number[] | undefined;
  /** Why an attempt of this very call has failed already, for who hears that no time was left. */
  readonly heard?: RpcError | undefined;
}

export const DEFAULT_TIMEOUT_MS = 5_000;

/** Options for a call made on behalf of `call`: same deadline, ticket, trace and priority. */
export function forward(call: Call): CallOptions {
  return {
    deadlineMs: call.deadlineMs,
    ticket: call.ticket,
    trace: call.trace,
    priority: call.priority,
  };
}

/**
 * The call with its first effect behind it: what follows is not shed any more, since it would have to be
 * done later anyway. OVERLOADED says that nothing was done, so a handler forwards as `accepted` from its
 * first effect on.
 */
export function accepted(call: Call): Call {
  return { ...call, priority: NEVER_SHED };
}

export function remainingMs(call: Call): number {
  return call.deadlineMs - monotonicMs();
}

/**
 * Of the caller's time a sixteenth, at most 250 ms, is kept for the answer's way back: what a handler
 * gives up at its own deadline still tells the caller why, who else would only know that time is over.
 */
const ANSWER_SHARE = 1 / 16;
const ANSWER_MS_MAX = 250;

/** Until when a handler works, whose caller gives it so long from then on. */
export function handlersDeadlineMs(startMs: number, timeoutMs: number): number {
  return startMs + timeoutMs - Math.min(ANSWER_MS_MAX, timeoutMs * ANSWER_SHARE);
}
