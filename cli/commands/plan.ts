/** `tricampus plan`: what the operator would do now in a cluster, and why. Nothing is done. */
import { type Action, describeAction } from "../../operator/plan/actions.ts";
import type { Plan } from "../../operator/plan/data-center.ts";
import { withApiServer } from "../cluster/from-api-server.ts";
import { readPlan } from "../cluster/plan.ts";
import { ClusterReach } from "../cluster/reach.ts";
import type { CommandDefinition } from "../command.ts";
import { EXIT, Failure } from "../failure.ts";
import { printJson } from "../output/json.ts";

export const planCommand: CommandDefinition = {
  name: "plan",
  summary: "show what the operator would do now in a cluster, and why; nothing is done",
  run: async (call) => {
    if (call.context === undefined)
      throw new Failure(EXIT.usage, "there is an operator in clusters only: name one by --context");
    const reached = await ClusterReach.open(call).catch(() => undefined);
    try {
      const plan = await withApiServer(call, (server, name) => readPlan(server, name, reached));
      if (call.json) printJson(asJson(plan));
      else for (const line of describePlan(plan, reached !== undefined)) console.log(line);
    } finally {
      reached?.stop();
    }
    return EXIT.ok;
  },
};

function asJson({ actions, dataCenter, groups, campuses }: Plan) {
  const conditions = (status: { conditions?: unknown }) => status.conditions ?? [];
  return {
    actions: actions.map((action) => ({ ...plain(action), text: describeAction(action) })),
    conditions: {
      dataCenter: conditions(dataCenter),
      campuses: Object.fromEntries(campuses.map((c) => [c.resource.name, conditions(c.status)])),
      groups: Object.fromEntries(groups.map((g) => [g.resource.name, conditions(g.status)])),
    },
  };
}

function plain(action: Action): object {
  if (action.act === "apply") {
    const { act, kind, name, disturbs, why } = action;
    return { act, kind, name, disturbs, why };
  }
  return action.act === "issue-certificates"
    ? { ...action, wanted: [...action.wanted.keys()] }
    : action;
}

/** Exported for its test. */
export function describePlan({ actions, dataCenter }: Plan, isStoreKnown: boolean): string[] {
  const progress = dataCenter.conditions?.find(({ type }) => type === "Progressing");
  const ready = dataCenter.conditions?.find(({ type }) => type === "Ready");
  const acts = actions.map((action, i) => `${i + 1}. ${describeAction(action)}`);
  return [
    ...(acts.length === 0 ? ["Nothing is to be done."] : acts),
    ...(ready?.status === "True" || ready === undefined ? [] : [`Not ready: ${ready.message}.`]),
    ...(progress === undefined || progress.reason === "Done"
      ? []
      : [`${progress.reason}: ${progress.message}.`]),
    ...(isStoreKnown ? [] : ["No admin door answers: what the store says is not known here."]),
  ];
}
