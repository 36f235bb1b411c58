/** Conditions: what is said, since when it is so, of which generation. Pure. */
import type { Condition } from "../api/schema.ts";
import type { Reason } from "./reasons.ts";

export interface Statement {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: Reason;
  readonly message: string;
}

export function say(
  type: string,
  status: boolean | undefined,
  reason: Reason,
  message: string,
): Statement {
  const word = status === undefined ? "Unknown" : status ? "True" : "False";
  return { type, status: word, reason, message };
}

/** The statements as conditions of a generation; one that was the same before keeps its time. */
export function conditionsOf(
  statements: readonly Statement[],
  before: readonly Condition[] | undefined,
  { generation, nowMs }: { generation: number; nowMs: number },
): Condition[] {
  return statements.map(({ type, status, reason, message }) => {
    const standing = before?.find((condition) => condition.type === type);
    const lastTransitionTime =
      standing?.status === status ? standing.lastTransitionTime : timeText(nowMs);
    return { type, status, reason, message, observedGeneration: generation, lastTransitionTime };
  });
}

/** "2026-11-21T15:04:05Z" */
export function timeText(ms: number): string {
  const iso = DAY_AND_TIME.exec(new Date(ms).toISOString())!;
  return `${iso[0]}Z`;
}

const DAY_AND_TIME = /^[^.]+/;
