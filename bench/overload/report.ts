/** What the overload benchmark prints and draws: tables, goals, an SVG and one JSON line. */
import { writeFileSync } from "node:fs";
import { STRATEGIES, type Strategy } from "./strategies.ts";

/** One run: one kind of task, one rate, one strategy. */
export interface Run {
  readonly strategy: Strategy;
  readonly kind: string;
  /** Offered load, in times of what saturates M. */
  readonly times: number;
  /** Share of tasks that succeeded, and of those that could have. */
  readonly success: number;
  readonly ofIdeal: number;
  /** Work in succeeded tasks, as a share of what M could have done. */
  readonly goodput: number;
  /** Share of M's work that was for tasks that failed. */
  readonly wasted: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** For mixed tasks: success by kind. */
  readonly byKind?: Readonly<Record<string, number>>;
}

export interface Step {
  readonly strategy: Strategy;
  /** Goodput by 100 ms after the step, as a share of what M can do. */
  readonly shares: readonly number[];
  /** From then on it stays at 90 % of its mean; null: not within the run. */
  readonly settledMs: number | null;
}

export interface Report {
  /** Calls a second of M's core: before each strategy, and at the end. */
  readonly rates: readonly number[];
  readonly runs: readonly Run[];
  readonly steps: readonly Step[];
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

export function printReport(report: Report): void {
  const { rates, runs, steps } = report;
  const each = rates.map(Math.round).join(", ");
  console.log(`M does ${each} calls a second, strategy by strategy and at the end`);
  for (const kind of new Set(runs.map((run) => run.kind))) {
    const ofKind = runs.filter((run) => run.kind === kind);
    console.log(`\n${kind}: tasks that succeeded, of those that could have; work wasted; p99`);
    console.table(
      Object.fromEntries(
        [...new Set(ofKind.map((run) => run.times))].map((times) => [
          `${times} x`,
          Object.fromEntries(
            STRATEGIES.map((strategy) => {
              const run = ofKind.find((r) => r.times === times && r.strategy === strategy);
              return [strategy, run === undefined ? "-" : describe(run)];
            }),
          ),
        ]),
      ),
    );
  }
  console.log("\nafter a step from 0.5 to 4 x: goodput by 100 ms, % of what M can do");
  for (const step of steps) {
    const line = step.shares.map((share) => String(Math.round(100 * share)).padStart(4)).join("");
    console.log(`${step.strategy.padEnd(7)}${line}   ${describeSettling(step)}`);
  }
  // The goals are ours.
  if (runs.some((run) => run.strategy === "ours")) console.table(goalsOf(report));
}

export function describeSettling({ settledMs }: Step): string {
  return settledMs === null ? "not settled within the run" : `settled after ${settledMs} ms`;
}

/** Tasks that succeeded, of those that could have; work wasted; p99. */
export function describe({ ofIdeal, wasted, p99Ms }: Run): string {
  return `${percent(ofIdeal)}, ${percent(wasted)}, ${Math.round(p99Ms)} ms`;
}

function goalsOf({ rates, runs, steps }: Report) {
  // The last strategy is ours.
  const change = rates.at(-1)! / rates.at(-2)! - 1;
  const ours = runs.filter((run) => run.strategy === "ours");
  // Of a kind that ran at one load only, that load is the peak: it says nothing.
  const hasOthers = ({ kind, times }: Run) =>
    ours.some((run) => run.kind === kind && run.times !== times);
  const atFour = ours.filter((run) => run.times === 4 && hasOthers(run));
  const peak = (kind: string) =>
    Math.max(...ours.filter((run) => run.kind === kind).map((run) => run.goodput));
  const kept = Math.min(...atFour.map((run) => run.goodput / peak(run.kind)));
  const alone = ours.filter((run) => run.kind.startsWith("M^"));
  const least = Math.min(...alone.map((run) => run.ofIdeal));
  const mixed = ours.filter((run) => run.byKind !== undefined);
  const spreads = mixed.map((run) => {
    const shares = Object.values(run.byKind!);
    return Math.max(...shares) - Math.min(...shares);
  });
  const spread = Math.max(...spreads);
  const wasted = Math.max(...ours.map((run) => run.wasted));
  const settledMs = steps.find((step) => step.strategy === "ours")?.settledMs ?? null;
  return [
    {
      goal: `goodput at 4 x, of its peak: ${kindsOf(atFour)}`,
      wanted: "90 %",
      measured: percent(kept),
      met: kept >= 0.9,
    },
    {
      goal: `success, of the ideal: ${kindsOf(alone)}`,
      wanted: "95 %",
      measured: percent(least),
      met: least >= 0.95,
    },
    { goal: "M^k differ by", wanted: "5 points", measured: percent(spread), met: spread <= 0.05 },
    {
      goal: "settles after a step",
      wanted: "1,000 ms",
      measured: `${settledMs} ms`,
      met: settledMs !== null && settledMs <= 1_000,
    },
    { goal: "wasted work", wanted: "5 %", measured: percent(wasted), met: wasted <= 0.05 },
    {
      goal: "M is as fast at the end (else trust nothing here)",
      wanted: "within 5 %",
      measured: percent(change),
      met: Math.abs(change) <= 0.05,
    },
  ];
}

function kindsOf(runs: readonly Run[]): string {
  return [...new Set(runs.map(({ kind }) => kind))].join(", ");
}

const COLOURS: Record<Strategy, string> = {
  none: "#999999",
  random: "#e69f00",
  codel: "#56b4e9",
  ours: "#009e73",
};
const WIDTH = 260;
const HEIGHT = 180;

/** Small panels side by side: for each kind of task success over load, one line a strategy. */
export function drawReport({ runs }: Report, path: string): void {
  const kinds = [...new Set(runs.map((run) => run.kind))].filter((kind) => kind !== "mixed");
  const columns = 4;
  const rows = Math.ceil(kinds.length / columns);
  const panels = kinds.map((kind, i) =>
    panel(
      runs.filter((run) => run.kind === kind),
      kind,
      [(i % columns) * WIDTH, Math.floor(i / columns) * HEIGHT + 30],
    ),
  );
  const legend = STRATEGIES.map(
    (strategy, i) =>
      `<text x="${10 + i * 90}" y="18" fill="${COLOURS[strategy]}">${strategy}</text>`,
  );
  const size = `width="${columns * WIDTH}" height="${rows * HEIGHT + 40}"`;
  const style = 'font-family="sans-serif" font-size="11"';
  const title = `<text x="400" y="18">tasks that succeed, of all (dashed: of those that can), over offered load</text>`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${style}>
<rect width="100%" height="100%" fill="white"/>
${[...legend, title, ...panels].join("\n")}
</svg>
`;
  writeFileSync(path, svg);
}

function panel(runs: readonly Run[], kind: string, [left, top]: [number, number]): string {
  const times = [...new Set(runs.map((run) => run.times))].sort((a, b) => a - b);
  const x = (t: number) => Math.round(left + 34 + ((WIDTH - 50) * (t - 0.5)) / 3.5);
  const y = (share: number) => Math.round(top + HEIGHT - 28 - (HEIGHT - 60) * share);
  const line = (points: readonly (readonly [number, number])[]) =>
    points.map(([t, share]) => `${x(t)},${y(share)}`).join(" ");
  const ideal = [0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 3.5, 4].map(
    (t) => [t, Math.min(1, 1 / t)] as const,
  );
  const lines = STRATEGIES.map((strategy) => {
    const points = runs
      .filter((run) => run.strategy === strategy)
      .map((run) => [run.times, run.success] as const);
    return `<polyline points="${line(points)}" fill="none" stroke="${COLOURS[strategy]}" stroke-width="2"/>`;
  });
  const ticks = [
    ...times.map((t) => `<text x="${x(t) - 6}" y="${y(0) + 14}">${t}</text>`),
    ...[0, 0.5, 1].map((s) => `<text x="${left + 4}" y="${y(s) + 4}">${100 * s} %</text>`),
  ];
  return `<g><text x="${left + 100}" y="${top + 14}" font-weight="bold">${kind}</text>
<path d="M${x(0.5)} ${y(1)} V${y(0)} H${x(4)}" fill="none" stroke="#cccccc"/>
<polyline points="${line(ideal)}" fill="none" stroke="#333333" stroke-dasharray="3 3"/>
${[...lines, ...ticks].join("\n")}</g>`;
}
