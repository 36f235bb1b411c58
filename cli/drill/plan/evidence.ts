/**
 * What a drill has seen, as one value: its verdict and its report are made from this alone, and can be
 * made again from the file. Times are milliseconds since the drill began.
 */
/** One answer of one process; counts are since that process started. */
export interface Sample {
  readonly atMs: number;
  /** "b/text", as the platform's layout names it. */
  readonly process: string;
  /** Since when the process runs, by its own clock: counts begin anew with it. */
  readonly uptimeMs: number;
  /** Requests of clients that were answered, and those of them that the platform failed to do. */
  readonly requests: number;
  readonly failures: number;
  /** Calls that callers chose to send here; of the drilled service alone, when it is about one. */
  readonly calls: number;
  readonly busyMs: number;
  /** Why it must not be counted on; empty: it may be. */
  readonly unready: string;
}

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly found: string;
}

export interface DrilledProcess {
  readonly name: string;
  readonly campus: string;
  readonly services: readonly string[];
}

/** Why a drill was ended before its time. */
export interface Stop {
  readonly kind: "failures" | "quorum" | "capacity" | "signal" | "person" | "unblocked";
  readonly text: string;
  /** When what it is about was seen. */
  readonly seenAtMs: number;
}

export interface Evidence {
  readonly format: 1;
  readonly campus: string;
  /** Empty: the whole campus. */
  readonly service: string;
  readonly who: string;
  readonly why: string;
  /** "2026-11-27T12:00:00.000Z" */
  readonly startedAt: string;
  readonly campuses: readonly string[];
  readonly processes: readonly DrilledProcess[];
  /** How long the campus was to be blocked. */
  readonly forMs: number;
  /** Percent of one core at which a process counts as overloaded. */
  readonly busyPercentMax: number;
  readonly checks: readonly Check[];
  /** When the block was set, and when it had ended; absent: it never was. */
  readonly blockedAtMs?: number | undefined;
  readonly unblockedAtMs?: number | undefined;
  readonly stop?: Stop | undefined;
  /** Why the block could not be ended, so that it stood until its own end; absent: it was. */
  readonly unblockFailure?: string | undefined;
  readonly endedAtMs: number;
  readonly samples: readonly Sample[];
}

type Count = "requests" | "failures" | "calls" | "busyMs";

/** By process: its samples in the order of time. */
export function byProcess(samples: readonly Sample[]): Map<string, Sample[]> {
  const found = new Map<string, Sample[]>();
  for (const sample of samples) {
    const known = found.get(sample.process);
    if (known === undefined) found.set(sample.process, [sample]);
    else known.push(sample);
  }
  return found;
}

/** How much a count of these processes rose between two times; what a new process has counts whole. */
export function risen(
  samples: ReadonlyMap<string, readonly Sample[]>,
  count: Count,
  { fromMs, toMs, of }: { fromMs: number; toMs: number; of: (process: string) => boolean },
): number {
  let sum = 0;
  for (const [name, all] of samples) {
    if (!of(name)) continue;
    let before: Sample | undefined;
    for (const sample of all) {
      if (sample.atMs > toMs) break;
      const isNew = before !== undefined && sample.uptimeMs < before.uptimeMs;
      if (before !== undefined && sample.atMs > fromMs)
        sum += isNew ? sample[count] : sample[count] - before[count];
      before = sample;
    }
  }
  return sum;
}
