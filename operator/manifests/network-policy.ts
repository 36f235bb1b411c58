/**
 * Who may open connections to a data centre's pods, and where these may open some. Pods speak with each other
 * alone; the operator asks them; people come in at two ports of two kinds of pods. Pure.
 *
 * No pod asks the API server or a name server: addresses are in a file (configuration.ts), so neither is
 * let out.
 */
import type { KubeObject } from "../kube/object.ts";
import { PORT } from "./pod.ts";
import { LABEL, labelsOf, nameOf, ownedMetadata, type Site, selectorOf } from "./site.ts";

/** As the chart labels the operator's pods, in the same namespace. */
const OPERATOR_PODS = { "app.kubernetes.io/name": "tricampus-operator" };
const DOORS = [PORT.door, PORT.secondDoor];

interface Outside {
  readonly name: string;
  readonly workload: string;
  readonly port: number;
}

/** `outside`: where people come in, from anywhere. */
export function networkPolicies(site: Site, outside: readonly Outside[]): KubeObject[] {
  const ours = pods({ [LABEL.dataCenter]: site.name });
  const inside = policy(site, "inside", {
    podSelector: ours.podSelector,
    policyTypes: ["Ingress", "Egress"],
    ingress: [
      { from: [ours, pods(OPERATOR_PODS)], ports: portsOf(DOORS) },
      // Kubelets ask how a pod is, from its node; Prometheus from wherever it is.
      { ports: portsOf([PORT.health]) },
    ],
    egress: [{ to: [ours], ports: portsOf(DOORS) }],
  });
  const doors = outside.map(({ name, workload, port }) =>
    policy(site, name, {
      podSelector: { matchLabels: selectorOf(site, workload) },
      policyTypes: ["Ingress"],
      ingress: [{ ports: portsOf([port]) }],
    }),
  );
  return [inside, ...doors];
}

function policy(site: Site, name: string, spec: object): KubeObject {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: ownedMetadata(site, nameOf(site, name), labelsOf(site)),
    spec: spec as Record<string, unknown>,
  };
}

function pods(matchLabels: Record<string, string>) {
  return { podSelector: { matchLabels } };
}

function portsOf(ports: readonly number[]) {
  return ports.map((port) => ({ port, protocol: "TCP" }));
}
