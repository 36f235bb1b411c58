/**
 * What Kubernetes' controllers, scheduler and kubelets do with our objects, as far as the operator sees
 * it: pods of StatefulSets and Deployments on nodes of their zone, ready after a moment; addresses for
 * services; what belongs to something that is gone goes too. Nodes can be lost and come back.
 */
import type { KubeObject } from "../../kube/object.ts";
import { countDisruptions, isReady, PODS } from "./disruptions.ts";
import { type Change, NODES, type Place } from "./objects.ts";
import type { ApiDouble } from "./server.ts";

interface NodePlan {
  readonly name: string;
  readonly zone: string;
  readonly labels?: Readonly<Record<string, string>>;
}

interface Options {
  readonly nodes: readonly NodePlan[];
  /** From a pod's creation until it is ready. */
  readonly startMs?: number;
  /** Pods with this image never start. */
  readonly brokenImage?: string;
}

const SETS = "/apis/apps/v1 statefulsets";
const DEPLOYMENTS = "/apis/apps/v1 deployments";
const CLAIMS = "/api/v1 persistentvolumeclaims";
const SERVICES = "/api/v1 services";
const ZONE = "topology.kubernetes.io/zone";
const TEMPLATE = "tricampus.dev/template";
/** Kinds that go when their owner goes. */
const OWNED = [
  SETS,
  DEPLOYMENTS,
  SERVICES,
  PODS,
  "/api/v1 configmaps",
  "/apis/policy/v1 poddisruptionbudgets",
];

type Fields = Record<string, unknown>;
interface Template {
  metadata: { labels: Record<string, string>; annotations: Record<string, string> };
  spec: {
    containers: { image: string }[];
    volumes: { persistentVolumeClaim?: { claimName: string } }[];
    affinity: Fields;
  };
}
interface WorkloadSpec {
  replicas: number;
  template: Template;
  strategy?: { type: string };
}

export class SimulatedCluster {
  readonly #double: ApiDouble;
  readonly #options: Options;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #due = new Set<string>();
  readonly #down = new Set<string>();
  readonly #stopCounting: () => void;
  #addresses = 0;
  #nodePorts = 30_000;
  #podNumber = 0;
  #isStopped = false;

  constructor(double: ApiDouble, options: Options) {
    this.#double = double;
    this.#options = options;
    const { objects } = double;
    double.mayGo = (resource, object, isForced) => this.mayGo(resource, object, isForced);
    objects.prepare = (resource, object) => this.#prepare(resource, object);
    for (const node of options.nodes)
      objects.create({ resource: NODES, namespace: "" }, nodeObject(node), BY);
    for (const [i, node] of options.nodes.entries()) this.#setNode(node.name, true, i);
    objects.listen((resource, change, object) => this.#heard(resource, change, object));
    this.#stopCounting = countDisruptions(objects);
  }

  stop(): void {
    this.#isStopped = true;
    this.#stopCounting();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** Its pods run no more and keep their place; the cluster notices. */
  loseNode(name: string): void {
    this.#down.add(name);
    this.#setNode(name, false);
    for (const pod of this.pods().filter((one) => nodeOf(one) === name)) this.#setReady(pod, false);
  }

  /** It is back; its pods start again. */
  bringNode(name: string): void {
    this.#down.delete(name);
    this.#setNode(name, true);
    for (const pod of this.pods().filter((one) => nodeOf(one) === name)) {
      if (pod.metadata.deletionTimestamp !== undefined) this.#remove(PODS, pod);
      else this.#startSoon(pod);
    }
    this.#tryUnplaced();
  }

  /** Pods that had no place are made once more: perhaps there is one now. */
  #tryUnplaced(): void {
    for (const pod of this.pods()) if (nodeOf(pod) === "") this.#remove(PODS, pod);
  }

  /** Its object is gone as well. */
  removeNode(name: string): void {
    this.loseNode(name);
    this.#double.objects.delete({ resource: NODES, namespace: "" }, name);
  }

  pods(): KubeObject[] {
    return this.#double.objects.all(PODS);
  }

  /** As a kubelet that is short of something: the pod ends, and its object stays until somebody removes it. */
  evict({ metadata }: KubeObject): void {
    const place = { resource: PODS, namespace: metadata.namespace ?? "" };
    this.#double.objects.update(place, metadata.name, (object) => {
      const conditions = [{ type: "Ready", status: "False", reason: "PodFailed" }];
      object.status = { phase: "Failed", reason: "Evicted", conditions };
    });
  }

  isUp(node: string): boolean {
    return !this.#down.has(node);
  }

  /** As a kubelet or a storage driver: may the object go at once? Else it is only marked. */
  mayGo(resource: string, object: KubeObject, isForced: boolean): boolean {
    if (resource === PODS) return isForced || !this.#down.has(nodeOf(object));
    if (resource !== CLAIMS) return true;
    return !this.pods().some((pod) => claimsOf(pod).includes(object.metadata.name));
  }

  #prepare(resource: string, object: KubeObject): void {
    if (resource !== SERVICES) return;
    const spec = object.spec as {
      clusterIP?: string;
      type?: string;
      ports: { nodePort?: number }[];
    };
    this.#addresses += 1;
    spec.clusterIP ??= `10.${96 + (this.#addresses >> 16)}.${(this.#addresses >> 8) & 255}.${this.#addresses & 255}`;
    if (spec.type !== "NodePort") return;
    for (const port of spec.ports) {
      this.#nodePorts += 1;
      port.nodePort ??= this.#nodePorts;
    }
  }

  #heard(resource: string, change: Change, object: KubeObject): void {
    if (this.#isStopped) return;
    const { namespace = "", name } = object.metadata;
    if ((resource === SETS || resource === DEPLOYMENTS) && change.type !== "DELETED")
      this.#soon(`${resource} ${namespace} ${name}`);
    if (resource === PODS) {
      const [owner] = (object.metadata.ownerReferences ?? []) as {
        kind: string;
        name: string;
      }[];
      const owners = owner?.kind === "StatefulSet" ? SETS : DEPLOYMENTS;
      if (owner !== undefined) this.#soon(`${owners} ${namespace} ${owner.name}`);
      if (change.type === "DELETED") this.#releaseClaims(object);
    }
    if (resource === CLAIMS && change.type !== "DELETED")
      this.#after(0, () => this.#provide(object));
    if (resource === CLAIMS && change.type === "ADDED") this.#after(0, () => this.#tryUnplaced());
    if (change.type === "DELETED") this.#collect(object.metadata.uid!);
  }

  #soon(key: string): void {
    if (this.#due.has(key)) return;
    this.#due.add(key);
    this.#after(0, () => {
      this.#due.delete(key);
      const [prefix, plural, namespace, name] = key.split(" ") as [string, string, string, string];
      this.#reconcile({ resource: `${prefix} ${plural}`, namespace }, name);
    });
  }

  #after(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#isStopped) act();
    }, ms);
    this.#timers.add(timer);
  }

  #reconcile(place: Place, name: string): void {
    const owner = this.#double.objects.get(place, name);
    if (owner === undefined) return;
    const { replicas, template, strategy } = owner.spec as WorkloadSpec;
    const today = template.metadata.annotations[TEMPLATE];
    const isSet = place.resource === SETS;
    const mine = this.pods().filter((pod) => isOwnedBy(pod, owner));
    // Only a StatefulSet, which needs the name, removes a pod that has failed.
    if (isSet) for (const pod of mine.filter(hasFailed)) this.#remove(PODS, pod);
    const all = mine.filter((pod) => !hasFailed(pod));
    const living = all.filter((pod) => pod.metadata.deletionTimestamp === undefined);
    const newest = living.filter((pod) => pod.metadata.annotations?.[TEMPLATE] === today);
    const old = isSet ? [] : living.filter((pod) => !newest.includes(pod));
    const ready = living.filter(isReady);
    if (isSet && all.length < replicas) this.#createPod(owner, `${name}-0`);
    if (!isSet) {
      const isRecreating = strategy?.type === "Recreate" && old.length > 0;
      const mayGo = isRecreating || newest.filter(isReady).length >= replicas;
      if (mayGo) for (const pod of old) this.#remove(PODS, pod);
      for (let n = newest.length; n < replicas && !isRecreating; n++)
        this.#createPod(owner, this.#podName(name));
      for (const pod of newest.slice(replicas)) this.#remove(PODS, pod);
    }
    const status = {
      observedGeneration: owner.metadata.generation,
      replicas: living.length,
      updatedReplicas: newest.length,
      readyReplicas: ready.length,
    };
    this.#double.objects.update(place, name, (object) => {
      object.status = status;
    });
  }

  #podName(name: string): string {
    this.#podNumber += 1;
    return `${name}-${this.#podNumber.toString(36)}`;
  }

  #createPod(owner: KubeObject, name: string): void {
    const { template } = owner.spec as WorkloadSpec;
    const { namespace = "", uid } = owner.metadata;
    const kind = owner.kind ?? "Deployment";
    const ownerReferences = [
      { apiVersion: "apps/v1", kind, name: owner.metadata.name, uid, controller: true },
    ];
    const node = this.#options.nodes.find(
      (one) => one.zone === zoneIn(template) && !this.#down.has(one.name),
    );
    const lacks = claimsOfTemplate(template).find(
      (claim) => this.#double.objects.get({ resource: CLAIMS, namespace }, claim) === undefined,
    );
    const isPlaced = node !== undefined && lacks === undefined;
    const pod: KubeObject = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, ...structuredClone(template.metadata), ownerReferences },
      spec: { ...structuredClone(template.spec), ...(isPlaced && { nodeName: node.name }) },
    };
    const place = { resource: PODS, namespace };
    if (this.#double.objects.get(place, name) !== undefined) return;
    const made = this.#double.objects.create(place, pod, BY);
    if (isPlaced) this.#startSoon(made);
    else this.#setUnplaced(made, lacks);
  }

  #startSoon(pod: KubeObject): void {
    const { image } = (pod.spec as Template["spec"]).containers[0]!;
    if (image === this.#options.brokenImage) this.#setWaiting(pod);
    else this.#after(this.#options.startMs ?? 10, () => this.#setReady(pod, true));
  }

  #setReady(pod: KubeObject, ready: boolean): void {
    this.#status(pod, (status) => {
      const lastTransitionTime = new Date(this.#double.objects.now() * 1_000).toISOString();
      status.phase = "Running";
      status.conditions = [{ type: "Ready", status: ready ? "True" : "False", lastTransitionTime }];
      status.containerStatuses = [];
    });
  }

  #setWaiting(pod: KubeObject): void {
    this.#status(pod, (status) => {
      const waiting = { reason: "ImagePullBackOff", message: "there is no such image" };
      status.containerStatuses = [{ state: { waiting } }];
    });
  }

  #setUnplaced(pod: KubeObject, claim: string | undefined): void {
    const message =
      claim === undefined ? "no node is in the zone" : `persistentvolumeclaim "${claim}" not found`;
    this.#status(pod, (status) => {
      status.conditions = [
        { type: "PodScheduled", status: "False", reason: "Unschedulable", message },
      ];
    });
  }

  #status(pod: KubeObject, change: (status: Fields) => void): void {
    const place = { resource: PODS, namespace: pod.metadata.namespace ?? "" };
    if (this.#double.objects.get(place, pod.metadata.name)?.metadata.uid !== pod.metadata.uid)
      return;
    this.#double.objects.update(place, pod.metadata.name, (object) => {
      const status = { ...((object.status ?? {}) as Fields) };
      change(status);
      object.status = status;
    });
  }

  #setNode(name: string, ready: boolean, number = 0): void {
    this.#double.objects.update({ resource: NODES, namespace: "" }, name, (object) => {
      const before = (object.status ?? {}) as Fields;
      const addresses = before.addresses ?? [
        { type: "InternalIP", address: `172.18.0.${number + 2}` },
      ];
      const conditions = [{ type: "Ready", status: ready ? "True" : "Unknown" }];
      object.status = { addresses, conditions };
    });
  }

  #remove(resource: string, { metadata }: KubeObject): void {
    const place = { resource, namespace: metadata.namespace ?? "" };
    if (this.#double.objects.get(place, metadata.name) !== undefined)
      this.#double.objects.delete(place, metadata.name);
  }

  /** There is as much as was asked for, a moment later. */
  #provide({ metadata }: KubeObject): void {
    const place = { resource: CLAIMS, namespace: metadata.namespace ?? "" };
    const claim = this.#double.objects.get(place, metadata.name);
    const spec = claim?.spec as { resources: { requests: { storage: string } } } | undefined;
    if (spec === undefined) return;
    this.#double.objects.update(place, metadata.name, (object) => {
      object.status = { phase: "Bound", capacity: { storage: spec.resources.requests.storage } };
    });
  }

  /** Claims that were deleted while a pod used them go now. */
  #releaseClaims(pod: KubeObject): void {
    const place = { resource: CLAIMS, namespace: pod.metadata.namespace ?? "" };
    for (const name of claimsOf(pod)) {
      const claim = this.#double.objects.get(place, name);
      if (claim?.metadata.deletionTimestamp !== undefined) this.#remove(CLAIMS, claim);
    }
  }

  #collect(uid: string): void {
    this.#after(0, () => {
      for (const resource of OWNED) {
        for (const object of this.#double.objects.all(resource)) {
          const owners = (object.metadata.ownerReferences ?? []) as { uid: string }[];
          if (owners.some((owner) => owner.uid === uid)) this.#remove(resource, object);
        }
      }
    });
  }
}

const BY = { manager: "kubernetes" };

function nodeObject({ name, zone, labels }: NodePlan): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { [ZONE]: zone, ...labels } },
  };
}

export function nodeOf(pod: KubeObject): string {
  return (pod.spec as { nodeName?: string }).nodeName ?? "";
}

function hasFailed({ status }: KubeObject): boolean {
  return (status as { phase?: string } | undefined)?.phase === "Failed";
}

function isOwnedBy(pod: KubeObject, owner: KubeObject): boolean {
  const owners = (pod.metadata.ownerReferences ?? []) as { uid: string }[];
  return owners.some(({ uid }) => uid === owner.metadata.uid);
}

function zoneIn({ spec }: Template): string {
  const text = JSON.stringify(spec.affinity);
  return /"values":\["([^"]*)"\]/.exec(text)?.[1] ?? "";
}

function claimsOfTemplate({ spec }: Pick<Template, "spec">): string[] {
  return spec.volumes.flatMap(({ persistentVolumeClaim }) =>
    persistentVolumeClaim === undefined ? [] : [persistentVolumeClaim.claimName],
  );
}

function claimsOf(pod: KubeObject): string[] {
  return claimsOfTemplate({ spec: pod.spec as Template["spec"] });
}
