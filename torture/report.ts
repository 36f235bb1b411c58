/** The figures of a torture, from its history and the times of its faults. */
import type { Operation } from "../sim/history.ts";
import type { Fault, FaultWindow } from "./faults.ts";

export interface Figures {
  readonly operations: number;
  readonly perSecond: number;
  /** Operations whose outcome their client did not hear, by code. */
  readonly failures: Readonly<Record<string, number>>;
  /** Of them, those that nothing but the loss of one replica went along with, by fault. */
  readonly failuresAtOne: Readonly<Record<string, number>>;
  /** By fault; "none": while nothing was wrong. Of what succeeded, ms. */
  readonly worstMs: Readonly<Record<string, number>>;
}

/** What is at work in a moment without a fault. */
const NOTHING = "none";

export function figuresOf(
  operations: readonly Operation[],
  windows: readonly FaultWindow[],
): Figures {
  const failures: Record<string, number> = {};
  const failuresAtOne: Record<string, number> = {};
  const worstMs: Record<string, number> = {};
  for (const operation of operations) {
    const faults = faultsDuring(operation, windows);
    if (operation.outcome === "unknown") {
      add(failures, operation.error ?? "?");
      if (!faults.some(isOfAll)) add(failuresAtOne, faults.join("+") || NOTHING);
      continue;
    }
    const tookMs = operation.end - operation.start;
    // With two faults at work the latency is the graver one's.
    const fault = faults.find(isOfAll) ?? faults[0] ?? NOTHING;
    worstMs[fault] = Math.max(worstMs[fault] ?? 0, tookMs);
  }
  const starts = operations.map(({ start }) => start);
  const ends = operations.map(({ end }) => end);
  const seconds = (maximum(ends) - minimum(starts)) / 1_000;
  const perSecond = operations.length === 0 ? 0 : Math.round(operations.length / seconds);
  return { operations: operations.length, perSecond, failures, failuresAtOne, worstMs };
}

function faultsDuring(operation: Operation, windows: readonly FaultWindow[]): Fault[] {
  const { start, end } = operation;
  return windows.filter((w) => w.startMs < end && w.endMs > start).map(({ fault }) => fault);
}

function isOfAll(fault: Fault): boolean {
  return fault === "killAll" || fault === "powerAll";
}

function add(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

function minimum(numbers: readonly number[]): number {
  return numbers.reduce((least, number) => Math.min(least, number), Number.POSITIVE_INFINITY);
}

function maximum(numbers: readonly number[]): number {
  return numbers.reduce((most, number) => Math.max(most, number), Number.NEGATIVE_INFINITY);
}
