/**
 * Limits that people may change while a process runs. Who is limited reads them where it counts, at each
 * call, or asks to be told. Where they come from is the process's affair (services/platform/limits-file.ts).
 */
import type { BusinessClass } from "../admission/priority.ts";
import { CALLEE_CALLS_MAX, CALLS_IN_FLIGHT_MAX } from "../limits.ts";

export interface Limits {
  /** Calls that a server works on at once. */
  callsInFlightMax: number;
  /** Calls of one service that a process has open at once. */
  calleeCallsMax: number;
  /** Mean wait from which on calls are shed, ms. */
  queueDelayMs: number;
  /** Of so many requests one is traced; undefined: as access is configured, and so on below. */
  traceShare: number | undefined;
  userRequestsPerSecond: number | undefined;
  userBurst: number | undefined;
  /** Business classes by service ("Moments") or method ("Moments/Post"); others are as usual. */
  classes: Readonly<Record<string, BusinessClass>>;
  /** Which of the usual callers remain, by service ("kv.Kv") or method ("kv.Kv/Write"); others are as usual. */
  callers: Readonly<Record<string, readonly string[]>>;
}

export const USUAL_LIMITS: Readonly<Limits> = {
  callsInFlightMax: CALLS_IN_FLIGHT_MAX,
  calleeCallsMax: CALLEE_CALLS_MAX,
  queueDelayMs: 20,
  traceShare: undefined,
  userRequestsPerSecond: undefined,
  userBurst: undefined,
  classes: {},
  callers: {},
};

/** What counts now. Only `putInForce` changes it. */
export const inForce: Limits = { ...USUAL_LIMITS };

const listeners = new Set<() => void>();

export function putInForce(limits: Readonly<Limits>): void {
  Object.assign(inForce, limits);
  for (const changed of listeners) changed();
}

/** `changed` is called at once, and after each change; returns what ends that. */
export function onLimits(changed: () => void): () => void {
  listeners.add(changed);
  changed();
  return () => listeners.delete(changed);
}
