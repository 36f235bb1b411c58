/**
 * What no plan may do, checked on the finished plan: whoever made it, with whatever mistake. Each check
 * says in words what is wrong; a plan with a violation is not carried out at all. Pure.
 */
import { type Action, disturbedBy } from "./actions.ts";
import type { GroupPlan } from "./kv-group.ts";
import type { Observed } from "./observed.ts";
import type { CampusHealth } from "./turn.ts";

export interface CheckFacts {
  readonly health: readonly CampusHealth[];
  readonly plans: readonly GroupPlan[];
  readonly observed: Pick<Observed, "dataCenter">;
}

type Check = (actions: readonly Action[], facts: CheckFacts) => string[];

export const CHECKS: Readonly<Record<string, Check>> = {
  oneCampusAtATime,
  othersAreWhole,
  quorumIsKept,
  dataIsKept,
  zonesDiffer,
};

export function violations(actions: readonly Action[], facts: CheckFacts): string[] {
  return Object.values(CHECKS).flatMap((check) => check(actions, facts));
}

function campusesOf(actions: readonly Action[]): string[] {
  return [...new Set(actions.flatMap((action) => disturbedBy(action) ?? []))].toSorted();
}

function oneCampusAtATime(actions: readonly Action[]): string[] {
  const disturbed = campusesOf(actions);
  if (disturbed.length <= 1) return [];
  return [`the plan disturbs campuses ${disturbed.join(" and ")} at once`];
}

function othersAreWhole(actions: readonly Action[], { health }: CheckFacts): string[] {
  return campusesOf(actions).flatMap((campus) =>
    health
      .filter((other) => other.campus !== campus)
      .flatMap(({ campus: other, trouble, isBlocked }) => {
        if (trouble !== undefined)
          return [`campus ${campus} would be disturbed while ${other} is not whole: ${trouble}`];
        if (isBlocked === false) return [];
        const how = isBlocked ? "is blocked" : "may be blocked: the control table is not read";
        return [`campus ${campus} would be disturbed while ${other} ${how}`];
      }),
  );
}

/** By the store's own word: a replica is taken away only when both others serve and are caught up. */
function quorumIsKept(actions: readonly Action[], { plans }: CheckFacts): string[] {
  const takesPods = (action: Action) =>
    action.act === "evict" || (action.act === "delete" && action.kind === "Pod");
  return campusesOf(actions.filter(takesPods)).flatMap((campus) =>
    plans.flatMap(({ group, replicas }) =>
      replicas
        .filter((replica) => replica.campus !== campus && replica.state !== "ok")
        .map(
          (replica) =>
            `a replica in ${campus} would be taken away while ${group.name}'s in ${replica.campus} is ${replica.state}`,
        ),
    ),
  );
}

function dataIsKept(actions: readonly Action[]): string[] {
  return actions.flatMap((action) => {
    const isData = action.act === "delete" && action.kind === "PersistentVolumeClaim";
    if (!isData || action.namedAct !== undefined) return [];
    return [`${action.name} would be deleted, and nobody has said so by name`];
  });
}

function zonesDiffer(actions: readonly Action[], { observed }: CheckFacts): string[] {
  const { campuses, profile } = observed.dataCenter.spec;
  const zones = new Set(campuses.map(({ zone }) => zone));
  if (profile === "Dev" || zones.size === campuses.length || actions.length === 0) return [];
  return ["two campuses of the data centre are in one zone"];
}
