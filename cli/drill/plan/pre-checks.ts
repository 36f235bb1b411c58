/** May a drill begin? Every check is recorded with what it found, whether or not it holds. Pure. */
import { type Load, withoutCampus } from "../../../operator/plan/capacity.ts";
import type { ClocksApart } from "./clocks.ts";
import type { Check, DrilledProcess, Sample } from "./evidence.ts";
import { busyPercent } from "./watch.ts";

/** Of one core, for the busiest process without the campus, when nobody says otherwise. */
export const BUSY_PERCENT_MAX = 90;

export interface CheckFacts {
  readonly campus: string;
  readonly campuses: readonly string[];
  readonly processes: readonly DrilledProcess[];
  /** What is blocked now; undefined: nobody could say. */
  readonly blocks: readonly string[] | undefined;
  /** Of the time before, which ends at `nowMs`. */
  readonly samples: readonly Sample[];
  readonly nowMs: number;
  readonly busyPercentMax: number;
  /** Why the replicas that are needed are not caught up; undefined: they are. */
  readonly behind: string | undefined;
  readonly clocks: ClocksApart;
  /** Blocks allow for clocks that are so far apart. */
  readonly clocksApartMsMax: number;
}

export function preChecks(facts: CheckFacts): Check[] {
  return [noOtherBlock(facts), signals(facts), clocks(facts), replicas(facts), capacity(facts)];
}

function noOtherBlock({ blocks }: CheckFacts): Check {
  const name = "nothing is blocked";
  if (blocks === undefined) return { name, ok: false, found: "the control table cannot be read" };
  return { name, ok: blocks.length === 0, found: blocks.join(", ") || "nothing" };
}

/** A process that says nothing could hide what the drill looks for. */
function signals({ processes, samples }: CheckFacts): Check {
  const heard = new Set(samples.map(({ process }) => process));
  const silent = processes.filter(({ name }) => !heard.has(name)).map(({ name }) => name);
  const found =
    silent.length === 0 ? `${processes.length} processes` : `${silent.join(", ")} silent`;
  return { name: "every process answers", ok: silent.length === 0, found };
}

/** Every process ends a block by its own clock: where one is behind, two campuses could be blocked at once. */
function clocks({
  processes,
  clocks: { known, apartMs, ahead, behind },
  clocksApartMsMax,
}: CheckFacts): Check {
  const name = "the clocks agree";
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
  if (apartMs <= clocksApartMsMax) {
    const most = seconds(clocksApartMsMax);
    const said = `${known} of ${processes.length} processes said their time`;
    return { name, ok: true, found: `${said}, none more than ${most} apart for certain` };
  }
  const found =
    `the clock of ${ahead} is at least ${seconds(apartMs)} ahead of ${behind}'s, and blocks, which each ends by its ` +
    `own, allow for ${seconds(clocksApartMsMax)}: set the clocks of their machines (NTP)`;
  return { name, ok: false, found };
}

function replicas({ processes, samples, behind }: CheckFacts): Check {
  const name = "every replica of the store is caught up";
  if (behind !== undefined) return { name, ok: false, found: behind };
  for (const { name: process, services } of processes) {
    if (!services.some((service) => service.startsWith("kvsvr"))) continue;
    const last = samples.findLast((sample) => sample.process === process);
    if (last !== undefined && last.unready !== "")
      return { name, ok: false, found: `${process}: ${last.unready}` };
  }
  return { name, ok: true, found: "all" };
}

function capacity({ campus, campuses, processes, ...facts }: CheckFacts): Check {
  const loads = campuses.map((name): Load => {
    const window = { fromMs: 0, toMs: facts.nowMs };
    const here = processes.filter((one) => one.campus === name);
    const busy = here.map((one) => busyPercent(facts.samples, one.name, window) ?? 0);
    const peakPercent = Math.ceil(Math.max(0, ...busy));
    return { campus: name, peakPercent, percentMax: facts.busyPercentMax };
  });
  const { verdict, message } = withoutCampus(loads, campus);
  return { name: "two campuses can carry the load", ok: verdict === "can", found: message };
}
