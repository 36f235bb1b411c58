/** StatefulSets, Deployments and the volumes, services and budgets around them. Pure. */
import { hash } from "node:crypto";
import type { KubeObject } from "../kube/object.ts";
import { stableJson } from "../kube/stable-json.ts";
import { PORT, type podTemplate as PodTemplate, podTemplate, type Workload } from "./pod.ts";
import { canonicalQuantity, type Quantity } from "./quantity.ts";
import { ANNOTATION, labelsOf, nameOf, ownedMetadata, type Site, selectorOf } from "./site.ts";

export interface Storage {
  readonly className?: string | undefined;
  readonly size: Quantity;
  readonly policy: "Retain" | "Delete";
}

type Template = ReturnType<typeof PodTemplate>;

/** The template with its own digest on the pods made from it, and the digest. */
function marked(template: Template, configDigest: string): { digest: string; template: Template } {
  const digest = digestOfText(stableJson([template, configDigest]));
  const annotations = { [ANNOTATION.template]: digest };
  return {
    digest,
    template: { ...template, metadata: { ...template.metadata, annotations } as never },
  };
}

export function digestOfText(text: string): string {
  return hash("sha1", text, "base64url").slice(0, 10);
}

/** `configDigest`: of what the pods read at their start only. */
export function workloadSet(
  site: Site,
  workload: Workload,
  { campus, configDigest }: { campus: string; configDigest: string },
): KubeObject {
  const { digest, template } = marked(podTemplate(site, workload, campus), configDigest);
  const name = nameOf(site, workload.name, campus);
  const metadata = {
    ...ownedMetadata(site, name, labelsOf(site, workload.name, campus)),
    annotations: { [ANNOTATION.template]: digest },
  };
  const selector = { matchLabels: selectorOf(site, workload.name, campus) };
  if (workload.isStateful) {
    const spec = { ...statefulSpec(site, workload), selector, template };
    return { apiVersion: "apps/v1", kind: "StatefulSet", metadata, spec };
  }
  const spec = { ...statelessSpec(workload), selector, template };
  return { apiVersion: "apps/v1", kind: "Deployment", metadata, spec };
}

/** One replica; its pod is replaced by nobody but the operator, campus after campus. */
function statefulSpec(site: Site, workload: Workload) {
  return {
    replicas: 1,
    serviceName: nameOf(site, workload.name),
    podManagementPolicy: "Parallel",
    updateStrategy: { type: "OnDelete" },
    persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
    revisionHistoryLimit: 2,
  };
}

function statelessSpec({ perCampus, isAlone }: Workload) {
  const strategy = isAlone
    ? { type: "Recreate" }
    : { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
  return { replicas: perCampus, strategy, revisionHistoryLimit: 2, progressDeadlineSeconds: 300 };
}

/** The volume of a replica. It belongs to nobody, so that nothing's deletion deletes it. */
export function volumeClaim(
  site: Site,
  workload: Workload,
  { campus, storage }: { campus: string; storage: Storage },
): KubeObject {
  const { className, size, policy } = storage;
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name: nameOf(site, workload.name, campus),
      namespace: site.namespace,
      labels: labelsOf(site, workload.name, campus),
      annotations: { [ANNOTATION.storagePolicy]: policy },
    },
    spec: {
      accessModes: ["ReadWriteOnce"],
      ...(className !== undefined && { storageClassName: className }),
      resources: { requests: { storage: canonicalQuantity(size) } },
    },
  };
}

/** Where a workload is in a campus: an address that stays while pods come and go. */
export function campusService(site: Site, workload: Workload, campus: string): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: ownedMetadata(
      site,
      nameOf(site, workload.name, campus),
      labelsOf(site, workload.name, campus),
    ),
    spec: {
      type: "ClusterIP",
      // A replica that catches up votes, and a queue's log that waits for others answers them.
      ...(workload.isStateful && { publishNotReadyAddresses: true }),
      selector: selectorOf(site, workload.name, campus),
      ports: workload.ports
        .filter((port) => port !== PORT.client && port !== PORT.admin)
        .map((port) => ({ name: `door-${port}`, port, targetPort: port, protocol: "TCP" })),
    },
  };
}

/** What StatefulSets must name, and what gives their pods names in the cluster's DNS. */
export function headlessService(site: Site, workload: Workload): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: ownedMetadata(site, nameOf(site, workload.name), labelsOf(site, workload.name)),
    spec: {
      clusterIP: "None",
      publishNotReadyAddresses: true,
      selector: selectorOf(site, workload.name),
      ports: [{ name: "door", port: PORT.door, targetPort: PORT.door, protocol: "TCP" }],
    },
  };
}

/** All pods of a campus may be taken away at once, and never those of two; ready is caught up. */
export function disruptionBudget(site: Site, workload: Workload): KubeObject {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: ownedMetadata(site, nameOf(site, workload.name), labelsOf(site, workload.name)),
    spec: {
      minAvailable: 2 * workload.perCampus,
      selector: { matchLabels: selectorOf(site, workload.name) },
    },
  };
}
