/**
 * What is kept of each object: the few fields that plans look at, so that ten thousand groups with
 * all their children fit into a small process. Pure.
 */
import type { KubeObject } from "../kube/object.ts";
import { ownedDigest } from "../kube/owned-fields.ts";
import { ANNOTATION, LABEL, ZONE_LABEL } from "../manifests/site.ts";
import type { Child, ClaimFacts, Node, Pod, Resource, ServiceFacts } from "../plan/observed.ts";

/** The field manager of everything that the operator applies. */
export const FIELD_MANAGER = "tricampus";
const RACK_LABEL = "tricampus.dev/rack";

/** Values that many objects share are kept once, as long as they are not too many. */
const SHARED_MAX = 20_000;
const shared = new Map<string, string>();

function once(text: string): string {
  const known = shared.get(text);
  if (known !== undefined) return known;
  if (shared.size >= SHARED_MAX) shared.clear();
  shared.set(text, text);
  return text;
}

/** The same for every text in a value that is nobody else's: most groups' specs and statuses say the same. */
function withTextsOnce<T>(value: T): T {
  if (typeof value === "string") return once(value) as T;
  if (typeof value === "object" && value !== null) {
    const fields = value as Record<string, unknown>;
    for (const name in fields) fields[name] = withTextsOnce(fields[name]);
  }
  return value;
}

type Fields = Record<string, unknown>;

const fieldsOf = (value: unknown): Fields => (value ?? {}) as Fields;
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
const countOf = (value: unknown): number => (typeof value === "number" ? value : 0);

function listOf<T = Fields>(value: unknown): T[] {
  return Array.isArray(value) ? (value as T[]) : [];
}

/** `kind`: items of a list do not say it. */
export function projectChild(kind: string): (object: KubeObject) => Child | undefined {
  return (object) => {
    const { metadata } = object;
    const labels = metadata.labels ?? {};
    const dataCenter = labels[LABEL.dataCenter];
    if (dataCenter === undefined) return undefined;
    return {
      resourceVersion: metadata.resourceVersion ?? "",
      kind: once(kind),
      name: metadata.name,
      uid: metadata.uid ?? "",
      dataCenter: once(dataCenter),
      workload: once(labels[LABEL.workload] ?? ""),
      campus: once(labels[LABEL.campus] ?? ""),
      digest: ownedDigest(object, FIELD_MANAGER),
      isLeaving: metadata.deletionTimestamp !== undefined,
      template: metadata.annotations?.[ANNOTATION.template] ?? "",
      isSettled: isSettled(kind, object),
      service: kind === "Service" ? serviceFacts(object) : undefined,
      claim: kind === "PersistentVolumeClaim" ? claimFacts(object) : undefined,
    };
  };
}

function serviceFacts({ spec, status }: KubeObject): ServiceFacts {
  const { clusterIP, ports } = fieldsOf(spec);
  const [ingress] = listOf(fieldsOf(fieldsOf(status).loadBalancer).ingress);
  const ip = textOf(clusterIP);
  return {
    ip: ip === "None" ? "" : ip,
    nodePort: countOf(listOf(ports)[0]?.nodePort),
    outside: textOf(ingress?.hostname) || textOf(ingress?.ip),
  };
}

function isSettled(kind: string, { metadata, spec, status }: KubeObject): boolean {
  if (kind !== "Deployment" && kind !== "StatefulSet") return true;
  const said = fieldsOf(status);
  const wanted = countOf(fieldsOf(spec).replicas);
  const isSeen = countOf(said.observedGeneration) >= (metadata.generation ?? 0);
  if (kind === "StatefulSet" || !isSeen) return isSeen;
  const { readyReplicas, updatedReplicas, replicas } = said;
  return [readyReplicas, updatedReplicas, replicas].every((count) => countOf(count) === wanted);
}

function claimFacts({ metadata, spec, status }: KubeObject): ClaimFacts {
  const requests = fieldsOf(fieldsOf(fieldsOf(spec).resources).requests);
  const storage = textOf(requests.storage);
  const capacity = textOf(fieldsOf(fieldsOf(status).capacity).storage);
  const storagePolicy = metadata.annotations?.[ANNOTATION.storagePolicy] ?? "";
  const madeBy = metadata.annotations?.[ANNOTATION.madeBy] ?? "";
  // An act is nobody else's.
  if (madeBy !== "") return { storage, capacity, storagePolicy, madeBy };
  const key = [storage, capacity, storagePolicy].join();
  const known = claims.get(key);
  if (known !== undefined) return known;
  const facts = { storage, capacity, storagePolicy, madeBy };
  claims.set(key, facts);
  return facts;
}

/** Most claims are alike. */
const claims = new Map<string, ClaimFacts>();

/**
 * Undefined, too, for one that is over: an evicted pod of a Deployment stays as an object, while another one has taken
 * its place.
 */
export function projectPod(object: KubeObject): Pod | undefined {
  const { metadata, spec, status } = object;
  const labels = metadata.labels ?? {};
  const dataCenter = labels[LABEL.dataCenter];
  if (dataCenter === undefined) return undefined;
  const { nodeName, containers } = fieldsOf(spec);
  const said = fieldsOf(status);
  if (OVER.has(textOf(said.phase))) return undefined;
  const ready = listOf(said.conditions).find((condition) => condition.type === "Ready");
  const isReady = ready?.status === "True";
  return {
    resourceVersion: metadata.resourceVersion ?? "",
    name: metadata.name,
    uid: metadata.uid ?? "",
    dataCenter: once(dataCenter),
    workload: once(labels[LABEL.workload] ?? ""),
    campus: once(labels[LABEL.campus] ?? ""),
    node: once(textOf(nodeName)),
    isReady,
    readySinceMs: isReady ? Date.parse(textOf(ready?.lastTransitionTime)) || 0 : 0,
    isLeaving: metadata.deletionTimestamp !== undefined,
    template: metadata.annotations?.[ANNOTATION.template] ?? "",
    image: once(textOf(listOf(containers)[0]?.image)),
    trouble: isReady ? "" : troubleOf(said),
  };
}

/** Phases that no pod comes back from. */
const OVER = new Set(["Failed", "Succeeded"]);

/** Waiting for these is part of a start. */
const NO_TROUBLE = new Set(["ContainerCreating", "PodInitializing"]);

function troubleOf(status: Fields): string {
  const unscheduled = listOf(status.conditions).find(
    (condition) => condition.type === "PodScheduled" && condition.status === "False",
  );
  if (unscheduled !== undefined) {
    return `${textOf(unscheduled.reason)}: ${textOf(unscheduled.message)}`;
  }
  // Servers of engines run beside a service as init containers that stay, and its own wait for them.
  const { initContainerStatuses, containerStatuses } = status;
  for (const container of [...listOf(initContainerStatuses), ...listOf(containerStatuses)]) {
    const waiting = fieldsOf(fieldsOf(container.state).waiting);
    const reason = textOf(waiting.reason);
    if (reason === "" || NO_TROUBLE.has(reason)) continue;
    const message = textOf(waiting.message);
    return message === "" ? reason : `${reason}: ${message}`;
  }
  return "";
}

export function projectNode({ metadata, status }: KubeObject): Node {
  const said = fieldsOf(status);
  const ready = listOf(said.conditions).find((condition) => condition.type === "Ready");
  const addresses = listOf(said.addresses);
  const address = ["ExternalIP", "InternalIP"]
    .map((type) => addresses.find((one) => one.type === type)?.address)
    .find((found) => found !== undefined);
  return {
    resourceVersion: metadata.resourceVersion ?? "",
    name: metadata.name,
    zone: once(metadata.labels?.[ZONE_LABEL] ?? ""),
    rack: once(metadata.labels?.[RACK_LABEL] ?? ""),
    isReady: ready?.status === "True",
    address: textOf(address),
  };
}

/** Nodes tell their health every few seconds, which is no change as long as it is the same. */
export function isSameNode(a: Node, b: Node): boolean {
  return (
    a.zone === b.zone && a.rack === b.rack && a.isReady === b.isReady && a.address === b.address
  );
}

/** DataCenter, Campus or KVGroup: the API server has checked it by its schema. */
export function projectResource<Spec, Status>({
  metadata,
  spec,
  status,
}: KubeObject): Resource<Spec, Status> | undefined {
  if (metadata.deletionTimestamp !== undefined) return undefined;
  return {
    resourceVersion: metadata.resourceVersion ?? "",
    name: metadata.name,
    uid: metadata.uid ?? "",
    generation: metadata.generation ?? 1,
    spec: withTextsOnce(spec as Spec),
    status: withTextsOnce((status ?? {}) as Status),
  };
}
