/**
 * What is to be done about one campus: carrying its block into the control table, and what the table
 * says back. Pure.
 *
 * The table is the truth. The object's block is carried into it once each time it changes: whoever ends
 * the block elsewhere is not overruled by an object that still says otherwise.
 */

import type { CampusSpec, CampusStatus } from "../api/campus.ts";
import { API_GROUP } from "../api/schema.ts";
import { stableJson } from "../kube/stable-json.ts";
import type { Action } from "./actions.ts";
import { highest, type Load, type Peak, peaksWith, withoutCampus } from "./capacity.ts";
import { conditionsOf, type Statement, say, timeText } from "./conditions.ts";
import type { Observed, Resource, Table, TableBlock } from "./observed.ts";
import type { Misplacement } from "./placement.ts";

export type CampusObject = Resource<CampusSpec, CampusStatus>;

/** Who sets a block for an object of that name. */
const whoOf = (object: CampusObject) => `${API_GROUP.split(".")[0]}-operator/${object.name}`;

export interface CampusFacts {
  readonly observed: Observed;
  readonly object: CampusObject;
  /** Pods of the campus: ready, and wanted. */
  readonly ready: number;
  readonly wanted: number;
  readonly loads: readonly Load[];
  readonly misplaced: readonly Misplacement[];
  /** Replicas of other campuses that a block would have to rely on and that are not ok; in words. */
  readonly weakOthers: string | undefined;
}

export interface CampusPlan {
  readonly actions: readonly Action[];
  readonly status: CampusStatus;
}

type Carried = NonNullable<CampusStatus["carried"]>;

/** What the spec asks for, as text that is the same for the same wish; "" for no block. */
function wishOf({ spec }: CampusObject): string {
  return spec.block === undefined ? "" : stableJson(spec.block);
}

export function planCampus(facts: CampusFacts): CampusPlan {
  const { observed, object } = facts;
  const { actions, carried, waits } = planCarrying(facts);
  const block = blockOf(observed.table, object.spec.name);
  const day = timeText(observed.nowMs).slice(0, 10);
  const busy = observed.busyPercent.get(object.spec.name);
  const peaks = peaksWith(object.status.peaks ?? [], busy, day);
  const statements = [
    ready(facts),
    blocked(facts, { carried, waits, block }),
    capacity(facts),
    placed(facts),
  ];
  const { generation, status } = object;
  return {
    actions,
    status: {
      observedGeneration: generation,
      state: stateOf(facts, block),
      pods: `${facts.ready}/${facts.wanted}`,
      ...(block !== undefined && { block: shownBlock(block) }),
      ...(carried !== undefined && { carried }),
      ...(peaks.length > 0 && { peaks }),
      conditions: conditionsOf(statements, status.conditions, {
        generation,
        nowMs: observed.nowMs,
      }),
    },
  };
}

interface Carrying {
  readonly actions: readonly Action[];
  readonly carried: Carried | undefined;
  /** Why the block is not carried yet. */
  readonly waits: string | undefined;
}

function planCarrying({ observed, object, weakOthers }: CampusFacts): Carrying {
  const told = observed.outcomes.get(object.name);
  // What the table answered last is newer than the status, which is still to take it over.
  const { carried } = object.status;
  const before = told === undefined ? carried : { ...told, generation: object.generation };
  const wish = wishOf(object);
  const standing: Carrying = { actions: [], carried: before, waits: undefined };
  if (before === undefined && wish === "") return standing;
  if (before?.wish === wish) return standing;
  const { table, nowMs } = observed;
  if (table === undefined) return { ...standing, waits: "the control table cannot be read now" };
  const { name: campus, block } = object.spec;
  const who = whoOf(object);
  const of = { name: object.name, wish };
  const target = block === undefined ? undefined : nameOf(campus, block.service ?? "");
  const ours = table.blocks.filter((one) => one.who === who && one.what !== target);
  const ends = ours.map((one): Action => {
    const [, service = ""] = one.what.split("/");
    return {
      act: "unblock",
      campus,
      service,
      who,
      of,
      why: "the object does not ask for it any more",
    };
  });
  if (block === undefined) {
    if (ours.length > 0) return { ...standing, actions: ends };
    const message = "no block of this object was in force";
    const done = { wish, generation: object.generation, outcome: "Nothing", message } as const;
    return { ...standing, carried: done };
  }
  const untilMs = Date.parse(block.until);
  const same = table.blocks.find((one) => one.what === target && one.who === who);
  if (same !== undefined && Math.abs(same.untilMs - untilMs) < 1_000) {
    const message = `blocked until ${timeText(same.untilMs)}`;
    return {
      ...standing,
      carried: { wish, generation: object.generation, outcome: "Blocked", message },
    };
  }
  if (untilMs <= nowMs) {
    const message = `its end, ${block.until}, has passed`;
    return {
      ...standing,
      carried: { wish, generation: object.generation, outcome: "Nothing", message },
    };
  }
  if (weakOthers !== undefined) return { ...standing, waits: weakOthers };
  const action: Action = {
    act: "block",
    campus,
    service: block.service ?? "",
    untilMs,
    reason: block.reason,
    who,
    of,
    why: `Campus ${object.name} asks for it until ${block.until}`,
  };
  return { ...standing, actions: [...ends, action] };
}

function nameOf(campus: string, service: string): string {
  return service === "" ? campus : `${campus}/${service}`;
}

/** The block of the whole campus, or of a service in it. */
function blockOf(table: Table | undefined, campus: string): TableBlock | undefined {
  const here = table?.blocks.filter((one) => one.what.split("/")[0] === campus) ?? [];
  return here.find((one) => one.what === campus) ?? here[0];
}

function shownBlock({ what, untilMs, why, who }: TableBlock): NonNullable<CampusStatus["block"]> {
  return { what, until: timeText(untilMs), reason: why, who };
}

function stateOf(
  { observed, object, ready, wanted }: CampusFacts,
  block: TableBlock | undefined,
): NonNullable<CampusStatus["state"]> {
  if (block?.what === object.spec.name) return "blocked";
  if (wanted === 0) return "unknown";
  if (ready === 0) return observed.pods.length === 0 ? "unknown" : "down";
  return ready < wanted ? "degraded" : "ok";
}

function ready({ ready, wanted, observed }: CampusFacts): Statement {
  if (wanted === 0) return say("Ready", false, "NotReadyYet", "nothing runs here yet");
  if (ready >= wanted)
    return say("Ready", true, "AllServe", `${ready} of ${wanted} pods are ready`);
  const first = observed.pods.find((pod) => pod.trouble !== "");
  const why = first === undefined ? "" : `; ${first.name}: ${first.trouble}`;
  return say("Ready", false, "PodsMissing", `${ready} of ${wanted} pods are ready${why}`);
}

function blocked(
  { observed, object }: CampusFacts,
  {
    carried,
    waits,
    block,
  }: Pick<Carrying, "carried" | "waits"> & { block: TableBlock | undefined },
): Statement {
  if (observed.table === undefined) {
    const message = "the control table cannot be read: what was read last is in force everywhere";
    return say("Blocked", undefined, "TableUnreachable", message);
  }
  if (block?.what === object.spec.name) {
    const text = `until ${timeText(block.untilMs)}, by ${block.who}: ${block.why}`;
    return say("Blocked", true, "BlockedByTable", text);
  }
  if (waits !== undefined) return say("Blocked", false, "BlockWaits", waits);
  const isWanted = object.spec.block !== undefined && carried?.wish === wishOf(object);
  if (isWanted && carried.outcome === "OtherCampusBlocked")
    return say("Blocked", false, "OtherCampusBlocked", carried.message);
  if (isWanted && carried.outcome === "Refused")
    return say("Blocked", false, "BlockRefused", carried.message);
  if (isWanted && block === undefined)
    return say(
      "Blocked",
      false,
      "BlockEnded",
      "the block that this object asks for is not in force any more",
    );
  const only = block === undefined ? "nothing is blocked here" : `only ${block.what} is`;
  return say("Blocked", false, "NotBlocked", only);
}

function capacity({ loads, object }: CampusFacts): Statement {
  const { verdict, message } = withoutCampus(loads, object.spec.name);
  if (verdict === "unknown") return say("CapacitySufficient", undefined, "NotMeasured", message);
  if (verdict === "cannot") return say("CapacitySufficient", false, "TwoCannotCarry", message);
  return say("CapacitySufficient", true, "TwoCanCarry", message);
}

function placed({ misplaced, object }: CampusFacts): Statement {
  const here = misplaced.filter(({ campuses }) => campuses.includes(object.spec.name));
  if (here.length === 0)
    return say("Placed", true, "AllApart", "every pod is in its zone and apart");
  const shown = here.slice(0, MISPLACED_SHOWN).map(({ message }) => message);
  const more = here.length > MISPLACED_SHOWN ? `; and ${here.length - MISPLACED_SHOWN} more` : "";
  return say("Placed", false, "Misplaced", `${shown.join("; ")}${more}`);
}

const MISPLACED_SHOWN = 5;

export function loadOf(object: CampusObject, peaks: readonly Peak[]): Load {
  return {
    campus: object.spec.name,
    peakPercent: highest(peaks),
    percentMax: object.spec.capacity.busyPercentMax,
  };
}
