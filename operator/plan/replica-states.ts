/** How each replica of a group is: the store's own word first, then what the cluster knows. Pure. */
import type { ReplicaStatus } from "../api/kv-group.ts";
import { kvWorkload, type Observed, type Pod, wordKey } from "./observed.ts";

type Facts = Pick<Observed, "pods" | "nodes" | "words" | "nowMs">;

export function replicaStates(
  { pods, nodes, words }: Facts,
  group: number,
  campuses: readonly string[],
): ReplicaStatus[] {
  return campuses.map((campus) => {
    const pod = pods.find((one) => one.workload === kvWorkload(group) && one.campus === campus);
    const node = pod?.node ?? "";
    const told = (state: ReplicaStatus["state"], message: string): ReplicaStatus => {
      return { campus, state, message, node };
    };
    if (pod === undefined) return told("pending", "it has no pod");
    if (pod.isLeaving) return told("down", "its pod is leaving");
    const said = words.get(wordKey(group, campus));
    // What a process said that is being replaced, or was, is no word of the next one.
    const word = said?.pod === pod.uid ? said : undefined;
    if (word?.unready === "") return told("ok", "");
    if (word?.unready !== undefined) return told("unready", word.unready);
    if (pod.trouble !== "") return told("pending", pod.trouble);
    if (word === undefined) return told("unknown", "it was not asked yet");
    return told("down", whySilent(pod, nodes.get(node)));
  });
}

function whySilent(pod: Pod, node: { readonly isReady: boolean } | undefined): string {
  if (pod.node === "") return "it does not answer: its pod has no node yet";
  if (node === undefined) return `it does not answer: its node ${pod.node} is gone`;
  if (!node.isReady) return `it does not answer: its node ${pod.node} is not ready`;
  return pod.isReady
    ? "it does not answer the operator"
    : "it does not answer: its pod is not ready";
}

/** "a=ok b=down c=ok" */
export function zoneLine(parts: readonly { campus: string; state: string }[]): string {
  return parts.map(({ campus, state }) => `${campus}=${state}`).join(" ");
}
