/** Must a drill stop now? Decided from what was seen so far. Pure. */
import type { DrilledProcess, Evidence, Sample, Stop } from "./evidence.ts";
import { BUSY_WINDOW_MS, type Seen } from "./seen.ts";

/** A process is asked twice a second; so long without an answer is silence. */
const SILENT_MS = 1_800;

type Facts = Pick<
  Evidence,
  "campus" | "service" | "processes" | "busyPercentMax" | "blockedAtMs"
> & {
  readonly seen: Seen;
};

/** Undefined: it may go on. */
export function breachIn(facts: Facts, nowMs: number): Stop | undefined {
  return (
    failures(facts, nowMs) ?? weakReplica(facts, nowMs) ?? lost(facts, nowMs) ?? busy(facts, nowMs)
  );
}

/** Failures that are no more than chance makes of what there was before. */
export function allowedFailures(before: number, beforeMs: number, duringMs: number): number {
  if (beforeMs <= 0) return 0;
  const expected = (before * duringMs) / beforeMs;
  return Math.floor(expected + 3 * Math.sqrt(expected));
}

function failures({ seen, blockedAtMs = 0 }: Facts, nowMs: number): Stop | undefined {
  const { before, since } = seen.failures;
  const allowed = allowedFailures(before, blockedAtMs, nowMs - blockedAtMs);
  if (since <= allowed) return undefined;
  const text = `${since} requests of clients failed since the block; ${allowed} would be chance`;
  return { kind: "failures", text, seenAtMs: seen.lastAtMs ?? nowMs };
}

function isStore({ services }: DrilledProcess): boolean {
  return services.some((service) => service.startsWith("kvsvr"));
}

/** Without the blocked campus every other one's replica is needed. */
function weakReplica(facts: Facts, nowMs: number): Stop | undefined {
  for (const one of facts.processes) {
    if (one.campus === facts.campus || !isStore(one)) continue;
    const last = facts.seen.recent(one.name).at(-1);
    const why = isSilent(last, nowMs) ? "it does not answer" : last!.unready;
    if (why === "") continue;
    const text = `the store's replica ${one.name} is needed, and ${why}`;
    return { kind: "quorum", text, seenAtMs: seenAt(last, nowMs) };
  }
  return undefined;
}

/** Who does not answer cannot be judged, and may be what fails. */
function lost(facts: Facts, nowMs: number): Stop | undefined {
  for (const { name, campus } of facts.processes) {
    if (campus === facts.campus) continue;
    const last = facts.seen.recent(name).at(-1);
    if (!isSilent(last, nowMs)) continue;
    const text = `${name} does not say any more how it is`;
    return { kind: "signal", text, seenAtMs: seenAt(last, nowMs) };
  }
  return undefined;
}

function busy(facts: Facts, nowMs: number): Stop | undefined {
  const { seen, processes, busyPercentMax, campus, blockedAtMs = 0 } = facts;
  const fromMs = nowMs - BUSY_WINDOW_MS;
  if (fromMs < blockedAtMs) return undefined;
  for (const one of processes) {
    if (one.campus === campus) continue;
    const percent = busyPercent(seen.recent(one.name), one.name, { fromMs, toMs: nowMs });
    if (percent === undefined || percent <= busyPercentMax) continue;
    const text = `${one.name} is at ${Math.round(percent)} % of a core; ${busyPercentMax} % are its limit`;
    return { kind: "capacity", text, seenAtMs: nowMs };
  }
  return undefined;
}

/** Undefined: it was not measured there. */
export function busyPercent(
  samples: readonly Sample[],
  process: string,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): number | undefined {
  const within = samples.filter(
    (one) => one.process === process && one.atMs >= fromMs && one.atMs <= toMs,
  );
  const [first, last] = [within[0], within.at(-1)];
  if (first === undefined || last === undefined || last.uptimeMs <= first.uptimeMs)
    return undefined;
  return (100 * (last.busyMs - first.busyMs)) / (last.uptimeMs - first.uptimeMs);
}

function isSilent(last: Sample | undefined, nowMs: number): boolean {
  return last === undefined || nowMs - last.atMs > SILENT_MS;
}

function seenAt(last: Sample | undefined, nowMs: number): number {
  return last === undefined ? nowMs : Math.min(nowMs, last.atMs + SILENT_MS);
}
