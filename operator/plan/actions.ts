/** What a plan may ask for. Each action is complete: carrying it out leaves nothing to decide. */
import type { KubeObject } from "../kube/object.ts";
import { LABEL } from "../manifests/site.ts";

export type Action =
  | {
      readonly act: "apply";
      readonly kind: string;
      readonly name: string;
      readonly object: KubeObject;
      /** Of the object. */
      readonly digest: number;
      /** Pods of this campus are replaced by it. */
      readonly disturbs: string | undefined;
      readonly why: string;
    }
  | {
      readonly act: "delete";
      readonly kind: string;
      readonly name: string;
      /** Of the object that was looked at: another one of that name stays. */
      readonly uid: string;
      readonly disturbs: string | undefined;
      /** A person said so by name; only this deletes data. */
      readonly namedAct: string | undefined;
      /** The node cannot confirm that the pod has ended. */
      readonly isForced: boolean;
      readonly why: string;
    }
  | {
      /** Of a pod that runs: what guards it, a budget of ours or of others, may say: not now. */
      readonly act: "evict";
      readonly name: string;
      /** Of the pod that was looked at. */
      readonly uid: string;
      readonly disturbs: string;
      readonly why: string;
    }
  | {
      /** On the volume claim that was looked at: what was done once is known there, whatever becomes of a status. */
      readonly act: "note-act";
      readonly name: string;
      readonly uid: string;
      readonly noted: string;
      readonly why: string;
    }
  | { readonly act: "make-credentials"; readonly why: string }
  | {
      readonly act: "issue-certificates";
      /** By name: the services that it is for. */
      readonly wanted: ReadonlyMap<string, readonly string[]>;
      readonly atMs: number;
      readonly why: string;
    }
  | {
      readonly act: "block";
      readonly campus: string;
      readonly service: string;
      readonly untilMs: number;
      readonly reason: string;
      readonly who: string;
      /** The Campus object whose wish it is. */
      readonly of: { readonly name: string; readonly wish: string };
      readonly why: string;
    }
  | {
      readonly act: "unblock";
      readonly campus: string;
      readonly service: string;
      readonly who: string;
      readonly of: { readonly name: string; readonly wish: string };
      readonly why: string;
    }
  | {
      readonly act: "even-slots";
      /** By keyspace name: the groups that are to have the same share. */
      readonly shares: Readonly<Record<string, readonly number[]>>;
      readonly why: string;
    };

/** The workload whose objects it makes; "" when it is of none. */
export function workloadOf(action: Action): string {
  return action.act === "apply" ? (action.object.metadata.labels?.[LABEL.workload] ?? "") : "";
}

/** The campus in which it takes away what serves; undefined: in none. */
export function disturbedBy(action: Action): string | undefined {
  return "disturbs" in action ? action.disturbs : undefined;
}

/** What pods of a workload read at their start. */
export function isConfig(action: Action): boolean {
  return action.act === "apply" && action.kind === "ConfigMap" && workloadOf(action) !== "";
}

/** It makes pods, or makes them anew. */
export function isOfPods(action: Action): boolean {
  return action.act === "apply" && (action.kind === "StatefulSet" || action.kind === "Deployment");
}

/** What tells the same action, of the same content on the same object, when it is planned again. */
export function actionKey(action: Action): string {
  if (action.act === "apply") return applyKey(action);
  return "uid" in action ? `${action.act} ${action.uid}` : action.act;
}

export function applyKey(wanted: { kind: string; name: string; digest: number }): string {
  return `apply ${wanted.kind}/${wanted.name} ${wanted.digest}`;
}

/** "apply Deployment main-logic-b (image): campus b's turn" */
export function describeAction(action: Action): string {
  switch (action.act) {
    case "apply":
    case "delete": {
      const disturbs = action.disturbs === undefined ? "" : `, disturbs campus ${action.disturbs}`;
      return `${action.act} ${action.kind} ${action.name}: ${action.why}${disturbs}`;
    }
    case "evict":
      return `evict Pod ${action.name}: ${action.why}, disturbs campus ${action.disturbs}`;
    case "note-act":
      return `note on PersistentVolumeClaim ${action.name}: ${action.why}`;
    case "issue-certificates":
      return `issue certificates ${[...action.wanted.keys()].join(", ")}: ${action.why}`;
    case "make-credentials":
      return `make credentials: ${action.why}`;
    case "block":
    case "unblock": {
      const what = action.service === "" ? action.campus : `${action.campus}/${action.service}`;
      return `${action.act} ${what}: ${action.why}`;
    }
    case "even-slots":
      return `move slots: ${action.why}`;
  }
}
