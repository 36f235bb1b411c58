/** What a drill has shown. Made from its evidence alone, so that anybody can make it again. Pure. */
import { byProcess, type Evidence, risen } from "./evidence.ts";
import { allowedFailures } from "./watch.ts";

type Verdict = "Passed" | "Failed" | "Inconclusive" | "Refused" | "Aborted";

export interface Judgement {
  readonly verdict: Verdict;
  readonly why: string;
  readonly figures: Figures;
}

interface Figures {
  readonly before: Span;
  readonly during: Span;
  readonly after: Span;
  /** Failures during and after the block that would be chance, by what there was before. */
  readonly allowedFailures: number;
  /** Milliseconds from the block to the last call that was routed to what is blocked. */
  readonly lastCallMs: number | undefined;
}

export interface Span {
  readonly ms: number;
  readonly requests: number;
  readonly failures: number;
  /** Calls routed to what is blocked, in percent of such calls in all three campuses. */
  readonly sharePercent: number | undefined;
}

/** Calls take so long to leave; from then on there must be none. */
const LEAVING_MS = 2_000;
/** Fewer requests than that show nothing. */
const REQUESTS_MIN = 20;
const SHARE_PERCENT_MAX = 0.1;

const WORDS = {
  failures: "Failed",
  quorum: "Failed",
  capacity: "Failed",
  signal: "Inconclusive",
  person: "Aborted",
  unblocked: "Aborted",
} as const satisfies Record<NonNullable<Evidence["stop"]>["kind"], Verdict>;

export function judge(evidence: Evidence): Judgement {
  const figures = figuresOf(evidence);
  const told = (verdict: Verdict, why: string) => ({ verdict, why, figures });
  const wrong = evidence.checks.filter(({ ok }) => !ok);
  if (wrong.length > 0)
    return told("Refused", wrong.map(({ name, found }) => `not so: ${name} (${found})`).join("; "));
  const { stop, blockedAtMs, unblockFailure } = evidence;
  const { during, after, allowedFailures: allowed } = figures;
  const failures = during.failures + after.failures;
  if (failures > allowed)
    return told("Failed", `${failures} requests of clients failed; ${allowed} would be chance`);
  if (unblockFailure !== undefined)
    return told(
      "Failed",
      `the block could not be ended and stood to its own end: ${unblockFailure}`,
    );
  if (stop !== undefined) return told(WORDS[stop.kind], stop.text);
  if (blockedAtMs === undefined) return told("Aborted", "the block was never set");
  if (during.requests < REQUESTS_MIN)
    return told("Inconclusive", `${during.requests} requests during the block show nothing`);
  if (figures.before.sharePercent === undefined || figures.before.sharePercent === 0)
    return told("Inconclusive", "nothing was routed there before the block, so nothing moved");
  if (during.sharePercent === undefined || during.sharePercent > SHARE_PERCENT_MAX)
    return told("Failed", `${shown(during)} of the calls still went there during the block`);
  if (after.sharePercent === undefined || after.sharePercent === 0)
    return told("Failed", "no call has come back after the block");
  return told("Passed", "the load moved and came back, and no client would have noticed");
}

function shown({ sharePercent }: Span): string {
  return sharePercent === undefined ? "none" : `${sharePercent.toFixed(2)} %`;
}

function figuresOf(evidence: Evidence): Figures {
  const { blockedAtMs, unblockedAtMs, endedAtMs, campus, samples } = evidence;
  const all = byProcess(samples);
  const blocked = blockedAtMs ?? endedAtMs;
  const unblocked = unblockedAtMs ?? endedAtMs;
  const here = new Set(
    evidence.processes.flatMap((one) => (one.campus === campus ? [one.name] : [])),
  );
  const span = (fromMs: number, toMs: number, callsFromMs = fromMs): Span => {
    const count = (name: "requests" | "failures" | "calls", from: number, isHere = false) =>
      risen(all, name, { fromMs: from, toMs, of: (process) => !isHere || here.has(process) });
    const calls = count("calls", callsFromMs);
    return {
      ms: Math.max(0, toMs - fromMs),
      requests: count("requests", fromMs),
      failures: count("failures", fromMs),
      sharePercent: calls === 0 ? undefined : (100 * count("calls", callsFromMs, true)) / calls,
    };
  };
  const before = span(0, blocked);
  const during = span(blocked, unblocked, blocked + LEAVING_MS);
  const after = span(unblocked, endedAtMs);
  return {
    before,
    during,
    after,
    allowedFailures: allowedFailures(before.failures, before.ms, during.ms + after.ms),
    lastCallMs: lastCall(evidence, here),
  };
}

function lastCall(
  { blockedAtMs, unblockedAtMs = Number.POSITIVE_INFINITY, samples }: Evidence,
  here: ReadonlySet<string>,
): number | undefined {
  if (blockedAtMs === undefined) return undefined;
  let last: number | undefined;
  const known = new Map<string, number>();
  for (const { process, atMs, calls } of samples) {
    if (!here.has(process) || atMs > unblockedAtMs) continue;
    const before = known.get(process);
    known.set(process, calls);
    if (before !== undefined && calls !== before && atMs > blockedAtMs) last = atMs - blockedAtMs;
  }
  return last ?? 0;
}
