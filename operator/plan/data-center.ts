/**
 * The plan of a whole data centre: what to do now, and what to say of it. Pure and total: the same
 * observation gives the same plan, and every observation gives one.
 */
import { checkCallers, type ToldCallers } from "../../services/platform/usual-callers.ts";
import type { CampusStatus } from "../api/campus.ts";
import type { DataCenterStatus } from "../api/data-center.ts";
import type { KvGroupStatus } from "../api/kv-group.ts";
import { OUTSIDE } from "../manifests/outside.ts";
import { nameOf, type Site } from "../manifests/site.ts";
import { type Action, actionKey, applyKey, describeAction, disturbedBy } from "./actions.ts";
import { type CampusObject, loadOf, planCampus } from "./campus.ts";
import { ageing, certificateActions } from "./certificates.ts";
import { type Changes, changesBetween } from "./changes.ts";
import { violations } from "./checks.ts";
import { conditionsOf, type Statement, say } from "./conditions.ts";
import {
  type Desired,
  type DesiredInputs,
  desiredOf,
  isAsWanted,
  type Wanted,
  workloadsOf,
} from "./desired.ts";
import { type GroupPlan, groupStatus, type KvGroup, planGroup } from "./kv-group.ts";
import { leftovers, retiringGroups } from "./leftovers.ts";
import {
  childKey,
  kvWorkload,
  type Node,
  type Observed,
  OLD_MS,
  type Resource,
} from "./observed.ts";
import { misplacements } from "./placement.ts";
import {
  LOGS_WORKLOAD,
  type LogsPlan,
  lostLogsText,
  planLogs,
  sharedPermits,
} from "./queue-logs.ts";
import { type Replacement, sayReplacing } from "./replacement.ts";
import { planSlots, type SlotsPlan } from "./slots.ts";
import type { CampusHealth } from "./turn.ts";
import type { PlannedWorkload } from "./workloads.ts";

export interface StatusOf<S> {
  readonly resource: Resource<unknown, S>;
  readonly status: S;
}

export interface Plan {
  readonly actions: readonly Action[];
  readonly dataCenter: DataCenterStatus;
  readonly campuses: readonly StatusOf<CampusStatus>[];
  readonly groups: readonly StatusOf<KvGroupStatus>[];
  /** Every object was there as it should be, and no other one. */
  readonly isAsWanted: boolean;
  /** What the API server has refused and is still wanted, by actionKey. */
  readonly refused: readonly string[];
  /** When to look again though nothing was heard; undefined: need not. */
  readonly againMs: number | undefined;
}

/** Remembers what a data centre should have as long as nothing that it is made of changes. */
export type DesiredMemory = (inputs: DesiredInputs) => Wanted;

export function planDataCenter(observed: Observed, desiredBy: DesiredMemory = desiredOf): Plan {
  const site = siteOf(observed);
  const groups = groupsInOrder(observed);
  const plans = groups.map((group) => planGroup(observed, site, group));
  const logs = planLogs(observed, site);
  const inputs = inputsOf(observed, site, { plans, logs });
  const desired = desiredBy(inputs);
  const workloads = workloadsOf(inputs);
  const health = site.spec.campuses.map(({ name }) => campusHealth(observed, plans, name));
  const { refusals } = observed;
  const isRefused = (entry: Desired) => refusals.has(applyKey(entry));
  const isPaused = pausedWorkloads(groups);
  const isOld = observed.ageMs > OLD_MS;
  const known = { ...observed, isOld, campuses: health };
  const changes = changesBetween({ ...known, desired, isRefused, isPaused });
  const slots = planSlots(observed, groups);
  const removing = leftovers(observed, { desired, groups, slots });
  const acts = [...plans, logs].flatMap(({ actions }) => actions);
  const replacing = ofOneCampus(acts.filter(isDisturbing).filter(mayDisturb(health)));
  const wanted = [
    ...(observed.hasCredentials ? [] : [MAKE_CREDENTIALS]),
    ...changes.actions.filter((action) => replacing.length === 0 || !isDisturbing(action)),
    ...replacing,
    ...acts.filter((action) => !isDisturbing(action)),
    ...removing,
    ...slots.actions,
  ];
  const problem = problemOf(observed, groups);
  const mayChange = !observed.dataCenter.spec.paused && problem === undefined;
  const allowed = mayChange ? wanted : [];
  const refused = violations(allowed, { health, plans, observed });
  const isFrozen = !mayChange || refused.length > 0;
  const certificates = certificateActions(observed, { workloads, isFrozen });
  const objections = [...certificates, ...wanted].filter((one) => refusals.has(actionKey(one)));
  const campuses = campusPlans(observed, { workloads, plans });
  const hopeless = hopelessPod(observed);
  const [evictions, others] = [true, false].map((isEviction) =>
    objections
      .filter(({ act }) => (act === "evict") === isEviction)
      .map((action) => `${describeAction(action)}: ${refusals.get(actionKey(action))}`),
  );
  const said = { evictions: evictions!, others: others! };
  const facts = { plans, changes, slots, refused, said, problem, workloads, health, hopeless };
  return {
    actions: [
      ...campuses.flatMap(({ actions }) => actions),
      ...certificates,
      ...(refused.length > 0 ? [] : allowed),
    ],
    dataCenter: statusOf(observed, { ...facts, campuses, logs: inTurn(logs, replacing) }),
    campuses: campuses.map(({ object, status }) => ({ resource: object, status })),
    groups: plans.map((plan) => groupStatusOf(observed, inTurn(plan, replacing), facts)),
    isAsWanted: isAsWanted(desired, observed.children),
    refused: objections.map(actionKey),
    againMs: objections.length > 0 || changes.wanting.size > 0 ? observed.settleMs : slots.againMs,
  };
}

const MAKE_CREDENTIALS: Action = { act: "make-credentials", why: "they are missing" };

function isDisturbing(action: Action): boolean {
  return disturbedBy(action) !== undefined;
}

/** Of acts that could all begin, those of the first one's campus: the others wait until it is whole again. */
function ofOneCampus(actions: readonly Action[]): readonly Action[] {
  const [first] = actions.map(disturbedBy);
  return actions.filter((action) => disturbedBy(action) === first);
}

/** An act that is not in `replacing` waits, and says what for. */
function inTurn<T extends Replacement>(plan: T, replacing: readonly Action[]): T {
  const actions = plan.actions.filter(isDisturbing);
  if (actions.length === 0 || actions.some((action) => replacing.includes(action))) return plan;
  const first = replacing.map(disturbedBy)[0];
  const waitsFor =
    first === undefined
      ? "another campus is not whole, or may be blocked"
      : `what is in campus ${first} is replaced first`;
  return { ...plan, waitsFor };
}

/** What disturbs one campus waits until both others are whole and are known to take calls. */
function mayDisturb(health: readonly CampusHealth[]): (action: Action) => boolean {
  return (action) => {
    const campus = disturbedBy(action);
    const others = health.filter((one) => one.campus !== campus);
    return (
      campus === undefined ||
      others.every((one) => one.trouble === undefined && one.isBlocked === false)
    );
  };
}

function siteOf({ namespace, dataCenter, image }: Observed): Site {
  const { name, uid, spec } = dataCenter;
  return { namespace, name, uid, spec, image: spec.image ?? image };
}

/** One a number: of several that claim the same, the one that is first by name. */
function groupsInOrder({ groups }: Observed): KvGroup[] {
  const sorted = groups.toSorted((a, b) =>
    a.spec.number === b.spec.number ? (a.name < b.name ? -1 : 1) : a.spec.number - b.spec.number,
  );
  return sorted.filter((group, i) => sorted[i - 1]?.spec.number !== group.spec.number);
}

/** Is a workload of a group that is paused? */
function pausedWorkloads(groups: readonly KvGroup[]): (workload: string) => boolean {
  const paused = groups.filter(({ spec }) => spec.paused);
  const names = new Set(paused.map(({ spec }) => kvWorkload(spec.number)));
  return (workload) => names.has(workload);
}

function inputsOf(
  observed: Observed,
  site: Site,
  { plans, logs }: { plans: readonly GroupPlan[]; logs: LogsPlan },
): DesiredInputs {
  const { spec } = observed.dataCenter;
  const permits = new Map(plans.map((plan) => [kvWorkload(plan.group.spec.number), plan.permits]));
  const volumes = new Map(plans.map((plan) => [kvWorkload(plan.group.spec.number), plan.volumes]));
  permits.set(LOGS_WORKLOAD, logs.permits);
  volumes.set(LOGS_WORKLOAD, logs.volumes);
  const whole = kvWorkload(1);
  if (spec.profile === "Dev")
    permits.set(whole, sharedPermits(permits.get(whole) ?? {}, logs.permits));
  // An empty volume of media does no harm: it is filled from the others.
  volumes.set(
    "media-data",
    spec.campuses.map(({ name }) => name),
  );
  const ips = new Map<string, string>();
  for (const child of observed.children.values()) {
    const { service, campus, workload } = child;
    if (service !== undefined && campus !== "" && service.ip !== "")
      ips.set(`${workload}/${campus}`, service.ip);
  }
  const groups = plans.map(({ group }) => group.spec);
  return { site, groups, permits, volumes, ips, retiring: retiringGroups(observed, groups) };
}

function campusHealth(
  { pods, children, table, nowMs, settleMs, ageMs }: Observed,
  plans: readonly GroupPlan[],
  campus: string,
): CampusHealth {
  const isBlocked = table?.blocks.some(({ what }) => what.split("/")[0] === campus);
  const told = (trouble: string | undefined): CampusHealth => ({ campus, trouble, isBlocked });
  if (ageMs > OLD_MS) return told(UNSEEN);
  for (const { group, replicas } of plans) {
    const replica = replicas.find((one) => one.campus === campus);
    if (replica !== undefined && replica.state !== "ok")
      return told(`the replica of group ${group.spec.number} is ${replica.state}`);
  }
  const here = pods.filter((pod) => pod.campus === campus);
  for (const child of children.values()) {
    const { kind, name, workload, isSettled, isLeaving } = child;
    if (child.campus !== campus || isLeaving) continue;
    if (kind === "Deployment" && !isSettled) return told(`Deployment ${name} is not complete`);
    const isEmpty = kind === "StatefulSet" && !here.some((pod) => pod.workload === workload);
    if (isEmpty || !isSettled) return told(`${kind} ${name} has no pod`);
  }
  const unready = here.find((pod) => !pod.isReady || pod.isLeaving);
  if (unready !== undefined)
    return told(`${unready.name} is ${unready.isLeaving ? "leaving" : "not ready"}`);
  const newest = Math.max(0, ...here.map(({ readySinceMs }) => readySinceMs));
  if (nowMs - newest < settleMs) return told(JUST_UP);
  return told(undefined);
}

/** What makes the data centre as a whole impossible; nothing is done meanwhile. */
function problemOf(
  { dataCenter, campuses, groups }: Observed,
  inOrder: readonly KvGroup[],
): Statement | undefined {
  const wrong = (reason: Parameters<typeof say>[2], message: string) =>
    say("Ready", false, reason, message);
  if (!inOrder.some(({ spec }) => spec.number === 1))
    return wrong("GroupMissing", `no KVGroup of number 1 names the DataCenter ${dataCenter.name}`);
  if (inOrder.length < groups.length) {
    const names = groups.filter((group) => !inOrder.includes(group)).map(({ name }) => name);
    return wrong("NumberTaken", `the number of ${names.join(", ")} belongs to another KVGroup`);
  }
  for (const { name, zone } of dataCenter.spec.campuses) {
    const object = campuses.find(({ spec }) => spec.name === name);
    if (object === undefined)
      return wrong("CampusMissing", `no Campus object has the name ${name} in its spec`);
    if (object.spec.zone !== zone)
      return wrong(
        "ZoneMismatch",
        `campus ${name} is zone ${zone} here and ${object.spec.zone} there`,
      );
  }
  const refused = callersRefused(dataCenter.spec.limits?.callers);
  return refused === undefined
    ? undefined
    : wrong("LimitsRefused", `spec.limits.callers: ${refused}`);
}

/** Why processes would not take what is told of callers: one that starts beside it would take none of the limits. */
function callersRefused(told: ToldCallers = {}): string | undefined {
  try {
    checkCallers(told);
  } catch (error) {
    return (error as Error).message;
  }
  return undefined;
}

function hopelessPod({ pods }: Observed): string | undefined {
  const pod = pods.find(({ trouble, isLeaving }) => trouble !== "" && !isLeaving);
  return pod && `campus ${pod.campus}: ${pod.name}: ${pod.trouble}`;
}

interface CampusResult {
  readonly object: CampusObject;
  readonly actions: readonly Action[];
  readonly status: CampusStatus;
}

function campusPlans(
  observed: Observed,
  { workloads, plans }: { workloads: readonly PlannedWorkload[]; plans: readonly GroupPlan[] },
): CampusResult[] {
  const { campuses, pods, nodes, dataCenter } = observed;
  const zones = new Map(dataCenter.spec.campuses.map(({ name, zone }) => [name, zone]));
  const isDev = dataCenter.spec.profile === "Dev";
  const misplaced = isDev ? [] : misplacements(pods, nodes, zones);
  const loads = campuses.map((object) => loadOf(object, object.status.peaks ?? []));
  const wanted = workloads.reduce((sum, { perCampus }) => sum + perCampus, 0);
  return campuses.map((object) => {
    const here = pods.filter((pod) => pod.campus === object.spec.name && !pod.isLeaving);
    const ready = here.filter(({ isReady }) => isReady).length;
    const weak = plans.flatMap(({ group, replicas }) =>
      replicas
        .filter(({ campus, state }) => campus !== object.spec.name && state !== "ok")
        .map(({ campus, state }) => `the replica of ${group.name} in campus ${campus} is ${state}`),
    );
    const weakOthers =
      weak.length === 0 ? undefined : `${weak.join(", ")}, and is needed meanwhile`;
    const facts = { observed, object, ready, wanted, loads, misplaced, weakOthers };
    return { object, ...planCampus(facts) };
  });
}

interface Facts {
  readonly plans: readonly GroupPlan[];
  readonly changes: Changes;
  readonly slots: SlotsPlan;
  readonly refused: readonly string[];
  /** What the API server refuses, and why. */
  readonly said: { readonly evictions: readonly string[]; readonly others: readonly string[] };
  readonly problem: Statement | undefined;
  readonly workloads: readonly PlannedWorkload[];
  readonly health: readonly CampusHealth[];
  /** A pod that cannot run, and why, in the cluster's words; undefined: there is none. */
  readonly hopeless: string | undefined;
}

function groupStatusOf(observed: Observed, plan: GroupPlan, facts: Facts): StatusOf<KvGroupStatus> {
  const { group } = plan;
  const { nowMs } = observed;
  const slots = facts.slots.owned.get(group.spec.number);
  const progress = progressOf(facts, observed.dataCenter.spec.paused || group.spec.paused);
  return { resource: group, status: groupStatus({ plan, slots, progress, nowMs }) };
}

function progressOf(facts: Facts, isPaused: boolean): Statement {
  const { changes, slots, refused, said, hopeless } = facts;
  const { turn, wanting } = changes;
  if (isPaused) return say("Progressing", false, "Paused", "spec.paused: nothing is changed");
  if (refused.length > 0) return say("Progressing", false, "PlanRefused", refused.join("; "));
  if (said.others.length > 0)
    return say("Progressing", true, "ObjectRefused", shortened(said.others));
  if (said.evictions.length > 0)
    return say("Progressing", true, "EvictionRefused", shortened(said.evictions));
  if (wanting.size > 0) {
    const left = [...wanting].toSorted().join(", ");
    if (turn.turn === "given")
      return say("Progressing", true, "RollingOut", `campus ${turn.campus} of ${left}`);
    if (hopeless !== undefined) return say("Progressing", true, "RolloutStalled", hopeless);
    return say("Progressing", true, "RolloutWaits", turn.message);
  }
  if (slots.progress !== undefined) return say("Progressing", true, "MovingSlots", slots.progress);
  return say("Progressing", false, "Done", "nothing is under way");
}

/** Why nothing, or not all, is done at all: perhaps why the act itself is not; alerts go by them. */
const OF_ALL = new Set([
  ...["Paused", "PlanRefused", "ObjectRefused", "EvictionRefused", "RolloutStalled"],
]);

/** A quota refuses many objects in the same words: the first few say it. */
function shortened(said: readonly string[]): string {
  const shown = said.slice(0, 3).join("; ");
  return said.length > 3 ? `${shown}; and ${said.length - 3} more` : shown;
}

function statusOf(
  observed: Observed,
  facts: Facts & { readonly campuses: readonly CampusResult[]; readonly logs: LogsPlan },
): DataCenterStatus {
  const { dataCenter, nowMs, image } = observed;
  const { generation, spec, status } = dataCenter;
  const { campuses, workloads, problem, logs } = facts;
  const wanted = 3 * workloads.reduce((sum, { perCampus }) => sum + perCampus, 0);
  const ready = observed.pods.filter((pod) => pod.isReady && !pod.isLeaving).length;
  const line = spec.campuses.map(({ name }) => {
    const found = campuses.find(({ object }) => object.spec.name === name);
    return `${name}=${found?.status.state ?? "unknown"}`;
  });
  const progress = progressOf(facts, spec.paused);
  const replacing = OF_ALL.has(progress.reason) ? undefined : sayReplacing(logs, spec.replaceLogs);
  const [missing] = logs.lost.map((campus) =>
    say("Ready", false, "VolumeMissing", lostLogsText(campus)),
  );
  const statements = [
    problem ?? missing ?? readiness(facts.health, { ready, wanted }),
    replacing ?? progress,
    available(observed),
    ...ageing(observed),
  ];
  const clients = addressesOf(observed, "clients");
  const admin = addressesOf(observed, "admin");
  const { bootstrap, made, replaced } = logs;
  return {
    observedGeneration: generation,
    campuses: line.join(" "),
    pods: `${ready}/${wanted}`,
    image: spec.image ?? image,
    ...(bootstrap !== undefined && { bootstrap }),
    ...(made.length > 0 && { made: [...made] }),
    ...(replaced !== undefined && { replacedLogs: replaced }),
    ...(clients.length > 0 && { clients }),
    ...(admin.length > 0 && { admin }),
    conditions: conditionsOf(statements, status.conditions, { generation, nowMs }),
  };
}

function readiness(
  health: readonly CampusHealth[],
  { ready, wanted }: { ready: number; wanted: number },
): Statement {
  const broken = health.filter(({ trouble }) => trouble !== undefined && !NO_LOSS.has(trouble));
  if (broken.length === 0 && ready >= wanted)
    return say("Ready", true, "AllServe", `${ready} of ${wanted} pods are ready`);
  const text = broken.map(({ campus, trouble }) => `campus ${campus}: ${trouble}`).join("; ");
  return say("Ready", false, "PodsMissing", text === "" ? `${ready} of ${wanted} pods` : text);
}

const JUST_UP = "it has just come up";
const UNSEEN = "how its pods are has not been heard lately";
/** Reasons to disturb no other campus, and none to say that this one has lost something. */
const NO_LOSS = new Set([JUST_UP, UNSEEN]);

function available({ dataCenter, nodes }: Observed): Statement {
  const { profile, campuses } = dataCenter.spec;
  if (profile === "Dev") {
    const message = "profile Dev is for trying out: losing a node may lose everything";
    return say("HighlyAvailable", false, "DevProfile", message);
  }
  const zones = new Set([...nodes.values()].map(({ zone }) => zone));
  const missing = campuses.filter(({ zone }) => !zones.has(zone));
  if (missing.length === 0)
    return say("HighlyAvailable", true, "ThreeZones", "three zones have nodes");
  const names = missing.map(({ name, zone }) => `${zone} (campus ${name})`).join(", ");
  return say("HighlyAvailable", false, "ZoneMissing", `no node is in zone ${names}`);
}

/** Where people outside come in: what the spec says, the load balancer's, or a node of the zone. */
function addressesOf(observed: Observed, door: "clients" | "admin") {
  const { dataCenter, children, nodes, namespace } = observed;
  const { type, addresses } = dataCenter.spec[door];
  const site = { name: dataCenter.name };
  return dataCenter.spec.campuses.flatMap(({ name: campus, zone }) => {
    const given = addresses?.find((one) => one.campus === campus)?.address;
    if (given !== undefined) return [{ campus, address: given }];
    const name = nameOf(site, OUTSIDE[door], campus);
    const service = children.get(childKey("Service", name))?.service;
    if (service === undefined) return [];
    const port = door === "clients" ? 7100 : 7110;
    if (type === "LoadBalancer")
      return service.outside === "" ? [] : [{ campus, address: `${service.outside}:${port}` }];
    if (type === "NodePort") {
      const node = nodeFor(nodes, zone);
      if (node === undefined || service.nodePort === 0) return [];
      return [{ campus, address: `${node.address}:${service.nodePort}` }];
    }
    return [{ campus, address: `${name}.${namespace}.svc:${port}` }];
  });
}

/** A node of the zone that is ready, if there is one: a node that is away leads nobody in. */
function nodeFor(nodes: Observed["nodes"], zone: string): Node | undefined {
  const reachable = [...nodes.values()].filter((one) => one.zone === zone && one.address !== "");
  const byName = reachable.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return byName.find(({ isReady }) => isReady) ?? byName[0];
}
