/**
 * Is the operator ready, and is it alive? Ready: every kind was listed once. Alive: its loop answers and
 * no copy is older than it may be for long, which a new process would cure. Pure.
 */
export interface WatchAge {
  readonly kind: string;
  readonly ageMs: number;
}

/** Far longer than any pause between attempts: the API server may be away, and starting anew helps nobody. */
const STUCK_MS = 120_000;
/** The Lease is asked for far more often. */
const AWAY_MS = 10_000;

export type Verdict = { readonly ok: boolean; readonly text: string };

export function readiness(ages: readonly WatchAge[]): Verdict {
  const missing = ages.filter(({ ageMs }) => ageMs === Number.POSITIVE_INFINITY);
  if (missing.length === 0) return { ok: true, text: "ready" };
  return { ok: false, text: `not listed yet: ${missing.map(({ kind }) => kind).join(", ")}` };
}

/** `answeredMsAgo`: since the API server answered anything; when it answers nothing, nobody is at fault here. */
export function liveness(ages: readonly WatchAge[], answeredMsAgo: number): Verdict {
  const listed = ages.filter(({ ageMs }) => ageMs !== Number.POSITIVE_INFINITY);
  const stuck = listed.filter(({ ageMs }) => ageMs > STUCK_MS);
  const isServerAway = answeredMsAgo > AWAY_MS;
  if (stuck.length === 0 || isServerAway) return { ok: true, text: "alive" };
  return { ok: false, text: `stale for minutes: ${stuck.map(({ kind }) => kind).join(", ")}` };
}
