/** Why was the slowest operation slow? It is held against what every process had noted meanwhile. */
import type { Stall } from "./stalls.ts";

export interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

/** What one process noted, under its name. */
export interface Noted {
  readonly process: string;
  readonly stalls: readonly Stall[];
}

const CAUSES_TOLD = 3;

/** The largest causes first: "b: waiting for a CPU 84 ms, ..."; what is small beside it is left out. */
export function causesOf(slowest: Span, noted: readonly Noted[]): string {
  const lost = noted.flatMap(({ process, stalls }) =>
    [...lostTo(slowest, stalls)].map(([cause, ms]) => ({ cause: `${process}: ${cause}`, ms })),
  );
  const told = lost
    .filter(({ ms }) => ms >= (slowest.endMs - slowest.startMs) / 20)
    .sort((a, b) => b.ms - a.ms)
    .slice(0, CAUSES_TOLD)
    .map(({ cause, ms }) => `${cause} ${Math.round(ms)} ms`);
  return told.length === 0 ? "nothing that is counted" : told.join(", ");
}

/** By cause; what ran side by side (commits of one checkpoint) counts once. */
function lostTo(slowest: Span, stalls: readonly Stall[]): Map<string, number> {
  const lost = new Map<string, number>();
  const countedUntil = new Map<string, number>();
  for (const { cause, startMs, endMs, ms } of [...stalls].sort((a, b) => a.startMs - b.startMs)) {
    const fromMs = Math.max(startMs, slowest.startMs, countedUntil.get(cause) ?? 0);
    const untilMs = Math.min(endMs, slowest.endMs);
    if (untilMs <= fromMs) continue;
    lost.set(cause, (lost.get(cause) ?? 0) + Math.min(ms, untilMs - fromMs));
    countedUntil.set(cause, untilMs);
  }
  return lost;
}
