/** A drill's written report, for people who decide what to do about it. Pure. */
import type { Evidence } from "./evidence.ts";
import type { Judgement, Span } from "./verdict.ts";

export function reportOf(evidence: Evidence, { verdict, why, figures }: Judgement): string {
  const { campus, service, who, checks, startedAt } = evidence;
  const what = service === "" ? `campus ${campus}` : `${service} in campus ${campus}`;
  const { before, during, after, allowedFailures, lastCallMs } = figures;
  const spans = [
    ["before", before],
    ["during", during],
    ["after", after],
  ] as const;
  return [
    `# Drill of ${what}: ${verdict}`,
    "",
    `${why}.`,
    "",
    `Begun ${startedAt} by ${who}: ${evidence.why}`,
    "",
    "Hypothesis: without it no client notices anything, and the two others carry the load.",
    "",
    "## Before it began",
    "",
    ...checks.map(({ name, ok, found }) => `- [${ok ? "x" : " "}] ${name}: ${found}`),
    "",
    "## What happened",
    "",
    "| time | what |",
    "|---|---|",
    ...timeline(evidence).map(([atMs, text]) => `| ${seconds(atMs)} | ${text} |`),
    "",
    "## Figures",
    "",
    "| | time | requests | failures | calls routed there |",
    "|---|---|---|---|---|",
    ...spans.map(([name, span]) => `| ${name} | ${cells(span).join(" | ")} |`),
    "",
    `Failures that would be chance: ${allowedFailures}. ` +
      `Last call routed there: ${lastCallMs === undefined ? "-" : seconds(lastCallMs)} after the block.`,
    "",
    "One pod of each service and campus is asked twice a second; requests and failures are those that the",
    "access layer answered. The figures are made from evidence.json, from which `tricampus drill verdict`",
    "makes this verdict again.",
    "",
  ].join("\n");
}

function timeline({ stop, blockedAtMs, unblockedAtMs, unblockFailure, endedAtMs }: Evidence) {
  const events: [number, string][] = [];
  if (blockedAtMs !== undefined) events.push([blockedAtMs, "blocked"]);
  if (stop !== undefined) events.push([stop.seenAtMs, `it had to stop: ${stop.text}`]);
  const byItself = `the block had ended by itself; it could not be ended: ${unblockFailure}`;
  const ended = unblockFailure === undefined ? "the block had ended" : byItself;
  if (unblockedAtMs !== undefined) events.push([unblockedAtMs, ended]);
  events.push([endedAtMs, "end"]);
  return events.toSorted(([a], [b]) => a - b);
}

function cells({ ms, requests, failures, sharePercent }: Span): string[] {
  const share = sharePercent === undefined ? "-" : `${sharePercent.toFixed(2)} %`;
  return [seconds(ms), String(requests), String(failures), share];
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
