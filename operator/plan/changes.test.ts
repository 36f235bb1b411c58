import { expect, test } from "vitest";
import { changesBetween } from "./changes.ts";
import type { Desired } from "./desired.ts";
import type { Child, Pod } from "./observed.ts";

/** What is done about campus a, whose pods are of an earlier template and cannot run. */
function aboutHopeless({ isOld }: { isOld: boolean }): string[] {
  const made = { workload: "kvsvr-1", campus: "a", stage: 1, object: {} };
  const desired = ["StatefulSet", "Deployment"].map((kind) => {
    return { ...made, kind, name: kind, key: `${kind}/${kind}`, digest: 2, template: "new" };
  });
  const [set, deployment] = desired.map((one) => ({ ...one, isSettled: true, isLeaving: false }));
  const children = [set!, { ...deployment!, digest: 1, template: "old" }];
  const pod = { name: "pod", uid: "u", workload: "kvsvr-1", campus: "a", template: "old" };
  const trouble = isOld ? "its pods have not been heard" : undefined;
  const { actions } = changesBetween({
    desired: desired as unknown as Desired[],
    children: new Map(children.map((one) => [one.key, one as unknown as Child])),
    pods: [{ ...pod, isLeaving: false, trouble: "CrashLoopBackOff" } as unknown as Pod],
    campuses: ["a", "b", "c"].map((campus) => ({ campus, trouble, isBlocked: false })),
    ...{ isRefused: () => false, isPaused: () => false, isOld },
  });
  return actions.map((action) => `${action.act} ${"kind" in action ? action.kind : ""}`);
}

test("changes: what cannot run needs no turn, but while what is known is old nobody knows that it cannot", () => {
  expect(aboutHopeless({ isOld: false })).toEqual(["apply Deployment", "delete Pod"]);
  expect(aboutHopeless({ isOld: true })).toEqual([]);
});
