/**
 * Can the two others carry the load when a campus is lost? Judged by how busy the busiest process of
 * each campus was at the peak of the last seven days: work runs in single threads, so the busiest one
 * saturates first, and the survivors of a campus share its load evenly. Pure.
 */
export interface Peak {
  /** "2026-11-21" */
  readonly day: string;
  readonly busyPercent: number;
}

/** Coarse, so that what moves a little is not written all the time. */
const STEP_PERCENT = 5;
const DAYS_MAX = 7;

/** The peaks with what is seen now; undefined busy: nothing is. */
export function peaksWith(
  before: readonly Peak[],
  busyPercent: number | undefined,
  day: string,
): Peak[] {
  if (busyPercent === undefined) return [...before];
  const seen = Math.min(100, Math.ceil(busyPercent / STEP_PERCENT) * STEP_PERCENT);
  const today = before.find((peak) => peak.day === day);
  const others = before.filter((peak) => peak.day !== day);
  const peak = { day, busyPercent: Math.max(seen, today?.busyPercent ?? 0) };
  return [...others, peak].toSorted((a, b) => (a.day < b.day ? -1 : 1)).slice(-DAYS_MAX);
}

export function highest(peaks: readonly Peak[]): number | undefined {
  if (peaks.length === 0) return undefined;
  return Math.max(...peaks.map(({ busyPercent }) => busyPercent));
}

export interface Load {
  readonly campus: string;
  /** undefined: not measured. */
  readonly peakPercent: number | undefined;
  readonly percentMax: number;
}

export interface Verdict {
  readonly verdict: "can" | "cannot" | "unknown";
  readonly message: string;
}

/** What the others would be at without `lost`. */
export function withoutCampus(loads: readonly Load[], lost: string): Verdict {
  const gone = loads.find(({ campus }) => campus === lost)?.peakPercent;
  const others = loads.filter(({ campus }) => campus !== lost);
  if (gone === undefined || others.some(({ peakPercent }) => peakPercent === undefined))
    return { verdict: "unknown", message: "no load was measured yet" };
  const after = others.map(({ campus, peakPercent, percentMax }) => {
    return { campus, percentMax, percent: Math.round(peakPercent! + gone / others.length) };
  });
  const text = after.map(({ campus, percent }) => `${campus} at ${percent} %`).join(", ");
  const limits = after.map(({ percentMax }) => `${percentMax} %`);
  const limit = new Set(limits).size === 1 ? limits[0] : limits.join(" and ");
  const message = `without ${lost} the busiest processes would be, at the peak: ${text} (limit ${limit})`;
  const isTooMuch = after.some(({ percent, percentMax }) => percent > percentMax);
  return { verdict: isTooMuch ? "cannot" : "can", message };
}
