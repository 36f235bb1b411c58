/**
 * Budgets of disruptions: the sums that Kubernetes' controller writes into their status, and what its API server makes
 * of those when a pod is to be evicted. The two are apart there, too: right after a pod came up its budget may still
 * refuse, and an eviction counts at once, before the controller has seen it.
 */
import type { KubeObject } from "../../kube/object.ts";
import { type Objects, type Place, Refused } from "./objects.ts";

export const PODS = "/api/v1 pods";
const BUDGETS = "/apis/policy/v1 poddisruptionbudgets";

interface BudgetSpec {
  readonly minAvailable: number;
  readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
  readonly unhealthyPodEvictionPolicy?: "IfHealthyBudget" | "AlwaysAllow";
}

interface BudgetStatus {
  readonly observedGeneration: number;
  readonly expectedPods: number;
  readonly currentHealthy: number;
  readonly desiredHealthy: number;
  readonly disruptionsAllowed: number;
  /** Evicted, and not seen to be leaving yet: by name, since when. */
  readonly disruptedPods?: Readonly<Record<string, string>>;
}

/** What was evicted and does not leave for so long is counted again. */
const LEAVES_WITHIN_MS = 120_000;

export function isReady({ status }: KubeObject): boolean {
  const { conditions = [] } = (status ?? {}) as { conditions?: { type: string; status: string }[] };
  return conditions.some((one) => one.type === "Ready" && one.status === "True");
}

function phaseOf({ status }: KubeObject): string {
  return (status as { phase?: string } | undefined)?.phase ?? "Pending";
}

function isLeaving({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}

function selects(budget: KubeObject, { metadata }: KubeObject): boolean {
  const { matchLabels } = (budget.spec as BudgetSpec).selector;
  return (
    budget.metadata.namespace === metadata.namespace &&
    Object.entries(matchLabels).every(([name, value]) => metadata.labels?.[name] === value)
  );
}

/** The controller: keeps the status of every budget, a moment after what it counts has changed. */
export function countDisruptions(objects: Objects): () => void {
  let due: NodeJS.Timeout | undefined;
  const stopListening = objects.listen((resource) => {
    if (resource !== PODS && resource !== BUDGETS) return;
    due ??= setTimeout(() => {
      due = undefined;
      for (const budget of objects.all(BUDGETS)) count(objects, budget);
    }, 0);
  });
  return () => {
    stopListening();
    clearTimeout(due);
  };
}

function count(objects: Objects, budget: KubeObject): void {
  const { metadata, spec } = budget;
  const { minAvailable } = spec as BudgetSpec;
  const before = budget.status as BudgetStatus | undefined;
  const nowMs = objects.now() * 1_000;
  const pods = objects.all(PODS).filter((pod) => selects(budget, pod) && isCounted(pod));
  const leavesSoon = ([name, since]: [string, string]) => {
    const pod = pods.find((one) => one.metadata.name === name);
    return pod && !isLeaving(pod) && nowMs - Date.parse(since) < LEAVES_WITHIN_MS;
  };
  const disruptedPods = Object.fromEntries(
    Object.entries(before?.disruptedPods ?? {}).filter(leavesSoon),
  );
  const healthy = pods.filter(
    (pod) => isReady(pod) && !isLeaving(pod) && disruptedPods[pod.metadata.name] === undefined,
  );
  const status: BudgetStatus = {
    observedGeneration: metadata.generation!,
    expectedPods: pods.length,
    currentHealthy: healthy.length,
    desiredHealthy: minAvailable,
    disruptionsAllowed: pods.length === 0 ? 0 : Math.max(0, healthy.length - minAvailable),
    ...(Object.keys(disruptedPods).length > 0 && { disruptedPods }),
  };
  writeStatus(objects, budget, status);
}

function isCounted(pod: KubeObject): boolean {
  return !ENDED.has(phaseOf(pod));
}

const ENDED = new Set(["Succeeded", "Failed"]);
/** Nothing is disrupted by the eviction of these. */
const UNGUARDED = new Set(["Pending", ...ENDED]);

function writeStatus(objects: Objects, { metadata }: KubeObject, status: BudgetStatus): void {
  const place = { resource: BUDGETS, namespace: metadata.namespace ?? "" };
  const change = (object: KubeObject) => {
    object.status = status;
  };
  objects.update(place, metadata.name, change);
}

interface Eviction {
  readonly metadata: { readonly name: string };
  readonly deleteOptions?: object;
}

/** The API server: the options to delete the pod with, or why it is not evicted. */
export function mayEvict(objects: Objects, place: Place, name: string, body: string): string {
  const { metadata, deleteOptions = {} } = JSON.parse(body) as Eviction;
  if (metadata.name !== name)
    throw new Refused(400, "BadRequest", "name in URL does not match name in Eviction object");
  const pod = objects.get(place, name);
  if (pod === undefined) throw new Refused(404, "NotFound", `pods "${name}" not found`);
  const options = JSON.stringify(deleteOptions);
  if (UNGUARDED.has(phaseOf(pod)) || isLeaving(pod)) return options;
  const [budget, another] = objects.all(BUDGETS).filter((one) => selects(one, pod));
  if (another !== undefined)
    throw new Refused(
      500,
      "",
      "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    );
  if (budget !== undefined) disrupt(objects, budget, pod);
  return options;
}

function disrupt(objects: Objects, budget: KubeObject, pod: KubeObject): void {
  const { metadata, spec, status = {} } = budget;
  const { unhealthyPodEvictionPolicy: policy } = spec as BudgetSpec;
  const counted = status as Partial<BudgetStatus>;
  const { currentHealthy = 0, desiredHealthy = 0, disruptionsAllowed = 0 } = counted;
  if (!isReady(pod)) {
    const isEnough = currentHealthy >= desiredHealthy && desiredHealthy > 0;
    if (isEnough || policy === "AlwaysAllow") return;
  }
  if ((counted.observedGeneration ?? 0) < metadata.generation!)
    throw budgetRefuses(
      `The disruption budget ${metadata.name} is still being processed by the server.`,
      10,
    );
  if (disruptionsAllowed === 0)
    throw budgetRefuses(
      `The disruption budget ${metadata.name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`,
    );
  const disruptedPods = {
    ...counted.disruptedPods,
    [pod.metadata.name]: new Date(objects.now() * 1_000).toISOString(),
  };
  const left = { disruptionsAllowed: disruptionsAllowed - 1, disruptedPods };
  writeStatus(objects, budget, { ...(counted as BudgetStatus), ...left });
}

function budgetRefuses(message: string, retryAfterSeconds?: number): Refused {
  return new Refused(
    429,
    "TooManyRequests",
    "Cannot evict pod as it would violate the pod's disruption budget.",
    { causes: [{ reason: "DisruptionBudget", message }], retryAfterSeconds },
  );
}
