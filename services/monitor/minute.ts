/** From a process's points to what is told of one minute of it. */
import type { WriterMinute } from "../../protos/gen/tricampus/monitor/v1/centre_codec.ts";
import type { Points } from "../svrkit/monitors/points.ts";
import { MONITORS } from "../svrkit/monitors/table.ts";

export const MINUTE_MS = 60_000;

const levels = new Set(MONITORS.filter(({ kind }) => kind === "level").map((m) => m.number));

/** undefined: the process has no point in the minute that begins at `minuteMs`. */
export function minuteOf({ header, rows }: Points, minuteMs: number): WriterMinute | undefined {
  const from = minuteMs / 1_000;
  const inside = rows.filter(({ second }) => second >= from && second < from + MINUTE_MS / 1_000);
  if (inside.length === 0) return undefined;
  const before = rows.findLast(({ second }) => second < from);
  // Sums count from the process's start; without a point of before, or a start in this minute, what came
  // before its first point is not known.
  const isYoung = header.startedAtMs >= minuteMs;
  const first = before ?? (isYoung ? undefined : inside[0]);
  const monitors = header.numbers.flatMap((number, column) => {
    const values = inside.map((row) => row.values[column]!);
    const figures = levels.has(number)
      ? { value: values.at(-1)!, max: Math.max(...values) }
      : sumOf(first?.values[column] ?? 0, values);
    return figures.value === 0 && figures.max === 0 ? [] : [{ number, ...rounded(figures) }];
  });
  return {
    process: header.process,
    startedAtMs: Math.round(header.startedAtMs),
    minuteMs,
    seconds: inside.length,
    monitors,
  };
}

function sumOf(before: number, values: readonly number[]): { value: number; max: number } {
  const steps = values.map((value, i) => value - (i === 0 ? before : values[i - 1]!));
  return { value: values.at(-1)! - before, max: Math.max(...steps) };
}

function rounded({ value, max }: { value: number; max: number }): { value: number; max: number } {
  return { value: Math.max(0, Math.round(value)), max: Math.max(0, Math.round(max)) };
}
