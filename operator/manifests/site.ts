/** What every manifest of one DataCenter is made from, and how its objects are named and marked. */
import type { DataCenterSpec } from "../api/data-center.ts";
import { API_GROUP, API_VERSION } from "../api/schema.ts";
import type { KubeObject } from "../kube/object.ts";

export interface Site {
  readonly namespace: string;
  /** Name and uid of the DataCenter. */
  readonly name: string;
  readonly uid: string;
  readonly spec: DataCenterSpec;
  /** The image of all Tricampus pods. */
  readonly image: string;
}

/** On everything that the operator makes: what it watches. */
export const MANAGED_BY = { "app.kubernetes.io/managed-by": "tricampus-operator" } as const;

export const LABEL = {
  dataCenter: `${API_GROUP}/data-center`,
  campus: `${API_GROUP}/campus`,
  /** "logic", "kvsvr-1": pods of one kind. */
  workload: `${API_GROUP}/workload`,
} as const;

export const ANNOTATION = {
  /** On workloads and their pods: digest of the pod template, to tell which pods are of today's. */
  template: `${API_GROUP}/template`,
  /** On a volume claim: what becomes of it when its group is gone. */
  storagePolicy: `${API_GROUP}/storage-policy`,
  /** On a volume claim: the act that it was made by in another one's place. */
  madeBy: `${API_GROUP}/made-by`,
} as const;

export const ZONE_LABEL = "topology.kubernetes.io/zone";

/** "main-logic-a"; without a campus: what all three share. */
export function nameOf({ name }: Pick<Site, "name">, workload: string, campus?: string): string {
  return campus === undefined ? `${name}-${workload}` : `${name}-${workload}-${campus}`;
}

export function labelsOf(
  { name }: Pick<Site, "name">,
  workload?: string,
  campus?: string,
): Record<string, string> {
  return {
    ...MANAGED_BY,
    "app.kubernetes.io/name": "tricampus",
    [LABEL.dataCenter]: name,
    ...(workload !== undefined && { [LABEL.workload]: workload }),
    ...(campus !== undefined && { [LABEL.campus]: campus }),
  };
}

/** The labels by which pods of a workload are found. */
export function selectorOf(site: Pick<Site, "name">, workload: string, campus?: string) {
  const { [LABEL.dataCenter]: dataCenter } = labelsOf(site);
  return {
    [LABEL.dataCenter]: dataCenter!,
    [LABEL.workload]: workload,
    ...(campus !== undefined && { [LABEL.campus]: campus }),
  };
}

/**
 * Metadata of an object that goes when its DataCenter goes. Not when its KVGroup goes: what a group
 * serves has to be moved first, which takes the group.
 */
export function ownedMetadata(
  site: Site,
  name: string,
  labels: Record<string, string>,
): KubeObject["metadata"] {
  const owner = {
    apiVersion: `${API_GROUP}/${API_VERSION}`,
    kind: "DataCenter",
    name: site.name,
    uid: site.uid,
    controller: true,
    blockOwnerDeletion: false,
  };
  return { name, namespace: site.namespace, labels, ownerReferences: [owner] };
}

/** Entries of the Secret with a data centre's credentials. Each pod gets those that it needs. */
export const CREDENTIAL = {
  ticketPublic: (id: string) => `ticket-public-${id}.pem`,
  ticketPrivate: (id: string) => `ticket-private-${id}.pem`,
  snapshotSecret: "snapshot-secret",
} as const;

/** Names of the key pairs that sign tickets: the first is made, and the others have room in every pod. */
export const TICKET_KEYS = ["k1", "k2", "k3", "k4"] as const;

/** Entries of the Secret with a data centre's certificates: each pod gets the authority and its own. */
export const TLS_FILE = {
  ca: "ca.crt",
  cert: (name: string) => `${name}.crt`,
  key: (name: string) => `${name}.key`,
} as const;

export function tlsName(site: Pick<Site, "name">): string {
  return nameOf(site, "tls");
}

export function credentialsName(site: Pick<Site, "name">): string {
  return nameOf(site, "credentials");
}
