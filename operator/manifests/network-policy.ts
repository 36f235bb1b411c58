/**
 * Who may open connections to a data centre's pods, and where these may open some. Pods speak with each other
 * alone; the operator asks them; people come in at two ports of two kinds of pods. Pure.
 *
 * No pod asks the API server or a name server: addresses are in a file (configuration.ts), so neither is
 * let out, but for pods that call servers of others: engines, and integrators' servers.
 */
import type { KubeObject } from "../kube/object.ts";
import type { ForeignServer } from "./engine-servers.ts";
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

/** Servers of others that a workload calls. */
interface Foreign {
  /** "engines", "hooks": what they are. */
  readonly what: string;
  readonly workload: string;
  readonly servers: readonly ForeignServer[];
}

/** `outside`: where people come in, from anywhere. `foreign`: who calls servers of others, by name. */
export function networkPolicies(
  site: Site,
  outside: readonly Outside[],
  foreign: readonly Foreign[] = [],
): KubeObject[] {
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
  const ways = foreign.map(({ what, workload, servers }) =>
    policy(site, `${workload}-${what}`, {
      podSelector: { matchLabels: selectorOf(site, workload) },
      policyTypes: ["Egress"],
      egress: waysTo(servers, site.spec.foreignNetworks),
    }),
  );
  return [inside, ...doors, ...ways];
}

/**
 * Policies know addresses and no names: who is called by name is somewhere in `networks`, or anywhere. Behind
 * the address of a Service are pods of other ones, by which most networks judge: those are in `networks`, too.
 */
function waysTo(servers: readonly ForeignServer[], networks: readonly string[] | undefined) {
  const named = servers.filter(({ cidr }) => cidr === undefined);
  const byAddress = servers.flatMap(({ cidr, port }) =>
    cidr === undefined ? [] : [to([cidr], [port])],
  );
  const wider = networks === undefined ? named : servers;
  const ports = [...new Set(wider.map(({ port }) => port))].sort((a, b) => a - b);
  return [
    ...byAddress,
    ...(wider.length > 0 ? [to(networks, ports)] : []),
    ...(named.length > 0 ? [{ ports: DNS }] : []),
  ];
}

function to(networks: readonly string[] | undefined, ports: readonly number[]) {
  const peers = networks?.map((cidr) => ({ ipBlock: { cidr } }));
  return { ...(peers && { to: peers }), ports: portsOf(ports) };
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

const DNS = ["UDP", "TCP"].map((protocol) => ({ port: 53, protocol }));

function portsOf(ports: readonly number[]) {
  return ports.map((port) => ({ port, protocol: "TCP" }));
}
