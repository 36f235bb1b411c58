/** Many seeds: what happened in all of them together, and which ones broke a promise. */
import { formatHistory } from "./history.ts";
import { optionsOf } from "./options.ts";
import { type Outcome, run } from "./run.ts";

export interface Summary {
  seeds: number;
  operations: number;
  /** How often each kind of fault really happened. */
  readonly faults: Record<string, number>;
  readonly broken: { readonly seed: number; readonly violations: readonly string[] }[];
}

export function emptySummary(): Summary {
  return { seeds: 0, operations: 0, faults: {}, broken: [] };
}

function add(summary: Summary, outcome: Outcome): void {
  summary.seeds += 1;
  summary.operations += outcome.operations;
  for (const [kind, count] of Object.entries(outcome.faults))
    summary.faults[kind] = (summary.faults[kind] ?? 0) + count;
  if (outcome.violations.length === 0) return;
  const violations = outcome.violations.map(
    ({ checker, key, message }) => `${checker}: ${key === "" ? "" : `${key}: `}${message}`,
  );
  summary.broken.push({ seed: outcome.seed, violations });
}

export function merge(into: Summary, other: Summary): void {
  into.seeds += other.seeds;
  into.operations += other.operations;
  for (const [kind, count] of Object.entries(other.faults))
    into.faults[kind] = (into.faults[kind] ?? 0) + count;
  into.broken.push(...other.broken);
}

/** Seeds first, first + step, ... below the end. */
export async function runSeeds(seeds: {
  first: number;
  end: number;
  step: number;
}): Promise<Summary> {
  const summary = emptySummary();
  for (let seed = seeds.first; seed < seeds.end; seed += seeds.step)
    add(summary, await run(seed, optionsOf(seed)));
  return summary;
}

/** One seed with its whole story, as lines for people. */
export async function tellSeed(seed: number): Promise<{ lines: string[]; history: string }> {
  const outcome = await run(seed, optionsOf(seed));
  const summary = emptySummary();
  add(summary, outcome);
  const found = summary.broken.flatMap(({ violations }) => violations);
  const lines = [...outcome.story, ...found.map((violation) => `BROKEN ${violation}`)];
  return { lines, history: formatHistory(outcome.history) };
}
