/** Whether and when what failed is asked for again. Pure. */
import type { Code, RpcError } from "../services/svrkit/errors.ts";

const FIRST_MS = 50;
const LAST_MS = 500;
/** Who is overloaded is not asked again as soon: that would be more load. */
const OVERLOADED_FIRST_MS = 1_000;
const OVERLOADED_LAST_MS = 2_000;
/** What is open for long is asked for less and less often: with pauses of this share of its age. */
const AGE_SHARE = 1 / 8;
const OVERLOADED_AGE_SHARE = 1 / 4;
const OLD_LAST_MS = 30_000;
/** What is asked for may have been done all the same, or be done yet: no answer to who must know. */
const UNKNOWN_OUTCOMES: ReadonlySet<Code> = new Set([
  "DEADLINE_EXCEEDED",
  "OUTCOME_UNKNOWN",
  "INTERNAL",
  "ABORTED",
  "FENCED",
  "MOVED",
  "RESOURCE_EXHAUSTED",
]);

export function leavesUnknown({ code }: RpcError): boolean {
  return UNKNOWN_OUTCOMES.has(code);
}

/** The pauses of one thing that is asked for, which may outlive the request that asks for it. */
export class Retry {
  readonly #sinceMs: number;
  #attempts = 0;
  #atMs = 0;

  /** `sinceMs`: monotonic, like all here. */
  constructor(sinceMs: number) {
    this.#sinceMs = sinceMs;
  }

  /** 0: it does not pause. */
  get atMs(): number {
    return this.#atMs;
  }

  failed({ code }: RpcError, nowMs: number, random: () => number): void {
    this.#attempts += 1;
    const pauseMs = longestPauseMs(code, this.#attempts, nowMs - this.#sinceMs);
    this.#atMs = nowMs + pauseMs * (0.5 + random() / 2);
  }

  endPause(): void {
    this.#atMs = 0;
  }
}

function longestPauseMs(code: Code, attempts: number, ageMs: number): number {
  const [firstMs, lastMs, ageShare] =
    code === "OVERLOADED"
      ? [OVERLOADED_FIRST_MS, OVERLOADED_LAST_MS, OVERLOADED_AGE_SHARE]
      : [FIRST_MS, LAST_MS, AGE_SHARE];
  const usualMs = Math.min(lastMs, firstMs * 2 ** (attempts - 1));
  return Math.max(usualMs, Math.min(OLD_LAST_MS, ageMs * ageShare));
}
