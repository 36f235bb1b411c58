/** The placement audit: which pods are where they should not be, by what the nodes say. Pure. */
import type { Node, Pod } from "./observed.ts";

export interface Misplacement {
  /** Campuses of the pods. */
  readonly campuses: readonly string[];
  readonly message: string;
}

/** `zones`: by campus. */
export function misplacements(
  pods: readonly Pod[],
  nodes: ReadonlyMap<string, Node>,
  zones: ReadonlyMap<string, string>,
): Misplacement[] {
  const placed = pods
    .filter((pod) => pod.node !== "" && !pod.isLeaving)
    .map((pod) => ({ pod, node: nodes.get(pod.node) }));
  const found: Misplacement[] = [];
  for (const { pod, node } of placed) {
    const zone = zones.get(pod.campus);
    if (node === undefined || node.zone === zone) continue;
    const where = node.zone === "" ? "in no zone" : `in zone ${node.zone}`;
    const message = `${pod.name} is on ${pod.node}, ${where}, and belongs into ${zone}`;
    found.push({ campuses: [pod.campus], message });
  }
  return [...found, ...shared(placed)];
}

/** Pods of one workload and different campuses on one node, or in one rack. */
function shared(placed: readonly { pod: Pod; node: Node | undefined }[]): Misplacement[] {
  const found: Misplacement[] = [];
  const first = new Map<string, Pod>();
  for (const { pod, node } of placed) {
    const places = [`node ${pod.node}`, ...(node?.rack ? [`rack ${node.rack}`] : [])];
    for (const place of places) {
      const key = `${pod.workload} ${place}`;
      const other = first.get(key);
      if (other === undefined) first.set(key, pod);
      else if (other.campus !== pod.campus) {
        const message = `${other.name} and ${pod.name} share ${place}: it takes two campuses with it`;
        found.push({ campuses: [other.campus, pod.campus].toSorted(), message });
        break;
      }
    }
  }
  return found;
}
