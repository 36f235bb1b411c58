/** Where objects of a kind are in the API. */

interface Place {
  readonly prefix: string;
  readonly plural: string;
}

const APPS = "/apis/apps/v1";
const CORE = "/api/v1";
const OURS = "/apis/tricampus.dev/v1alpha1";

/** Of every kind that the operator reads or writes. */
const PLACES = {
  DataCenter: { prefix: OURS, plural: "datacenters" },
  Campus: { prefix: OURS, plural: "campuses" },
  KVGroup: { prefix: OURS, plural: "kvgroups" },
  StatefulSet: { prefix: APPS, plural: "statefulsets" },
  Deployment: { prefix: APPS, plural: "deployments" },
  Service: { prefix: CORE, plural: "services" },
  ConfigMap: { prefix: CORE, plural: "configmaps" },
  Secret: { prefix: CORE, plural: "secrets" },
  PersistentVolumeClaim: { prefix: CORE, plural: "persistentvolumeclaims" },
  PodDisruptionBudget: { prefix: "/apis/policy/v1", plural: "poddisruptionbudgets" },
  NetworkPolicy: { prefix: "/apis/networking.k8s.io/v1", plural: "networkpolicies" },
  Pod: { prefix: CORE, plural: "pods" },
  Node: { prefix: CORE, plural: "nodes" },
} as const satisfies Record<string, Place>;

export type KindName = keyof typeof PLACES;

/** "/apis/apps/v1/namespaces/x/deployments/name"; without a name all of the namespace. */
export function pathOf(kind: KindName, namespace: string | undefined, name?: string): string {
  const { prefix, plural } = PLACES[kind];
  const within = namespace === undefined ? "" : `/namespaces/${namespace}`;
  return `${prefix}${within}/${plural}${name === undefined ? "" : `/${name}`}`;
}

export function apiVersionOf(kind: KindName): string {
  return PLACES[kind].prefix.replace(/^\/apis?\//, "");
}
