/**
 * Looks for the highest rate that a platform carries: up by a half as long as it follows, then between
 * the last rate that went well and the first that did not, until they are within a tenth.
 */
export interface SearchStep {
  readonly sendsPerSecond: number;
  readonly acknowledgedPerSecond: number;
  readonly p99Ms: number;
  readonly failed: number;
  readonly isGood: boolean;
}

const RAISE = 1.5;
const CLOSE_ENOUGH = 1.1;
const STEPS_MAX = 16;
/** Of what was offered: less is a platform that falls behind. */
const FOLLOWED_SHARE = 0.97;
const FAILED_SHARE_MAX = 0.001;

export function judgeStep(
  step: Omit<SearchStep, "isGood">,
  { p99MsMax, sends }: { p99MsMax: number; sends: number },
): SearchStep {
  const follows = step.acknowledgedPerSecond >= step.sendsPerSecond * FOLLOWED_SHARE;
  const isGood = follows && step.p99Ms <= p99MsMax && step.failed <= sends * FAILED_SHARE_MAX;
  return { ...step, isGood };
}

/** Undefined: the highest good rate is found. */
export function nextRate(first: number, steps: readonly SearchStep[]): number | undefined {
  if (steps.length === 0) return first;
  if (steps.length >= STEPS_MAX) return undefined;
  const good = bestRate(steps);
  const bad = Math.min(...steps.filter((s) => !s.isGood).map((s) => s.sendsPerSecond));
  if (bad === Number.POSITIVE_INFINITY) return Math.round(good * RAISE);
  if (good === 0) return bad > 1 ? Math.round(bad / 2) : undefined;
  return bad / good <= CLOSE_ENOUGH ? undefined : Math.round((good + bad) / 2);
}

/** 0: none went well. */
export function bestRate(steps: readonly SearchStep[]): number {
  return Math.max(0, ...steps.filter((s) => s.isGood).map((s) => s.sendsPerSecond));
}
