/**
 * What is to be done about one KV group, beside having its objects: its first disks, the replacement
 * of one, and what to say of it. Pure.
 *
 * Losing a disk is losing the right to vote (S3), so disks are made twice only: at the group's
 * bootstrap, which is noted in the status before any volume exists, and by a named act. A volume
 * that is missing otherwise stays missing, and the pod without it waits for a person.
 */
import type { Permits } from "../../services/platform/pod/files.ts";
import { KV_GROUPS } from "../../services/platform/services.ts";
import type { KvGroupSpec, KvGroupStatus, ReplicaStatus } from "../api/kv-group.ts";
import { wholeUnits } from "../manifests/quantity.ts";
import { nameOf, type Site } from "../manifests/site.ts";
import type { Action } from "./actions.ts";
import { conditionsOf, type Statement, say } from "./conditions.ts";
import {
  type Child,
  childKey,
  kvWorkload,
  type Observed,
  type Pod,
  type Resource,
} from "./observed.ts";
import { replicaStates, zoneLine } from "./replica-states.ts";

export type KvGroup = Resource<KvGroupSpec, KvGroupStatus>;
type Bootstrap = KvGroupStatus["bootstrap"];
type Replaced = NonNullable<KvGroupStatus["replaced"]>;

export interface GroupPlan {
  readonly group: KvGroup;
  readonly replicas: readonly ReplicaStatus[];
  readonly bootstrap: Bootstrap;
  /** During the bootstrap: campuses whose disk is made. */
  readonly made: readonly string[];
  readonly replaced: Replaced | undefined;
  readonly permits: Permits;
  /** Campuses whose volume may be made or changed. */
  readonly volumes: readonly string[];
  readonly actions: readonly Action[];
  /** Campuses whose volume is not there and must not be made. */
  readonly lost: readonly string[];
  /** Campuses whose volume is to grow and has not yet. */
  readonly growing: readonly string[];
  /** Why the act in spec.replace waits; undefined: it does not. */
  readonly waitsFor: string | undefined;
}

export function planGroup(observed: Observed, site: Site, group: KvGroup): GroupPlan {
  const { number } = group.spec;
  const campuses = site.spec.campuses.map(({ name }) => name);
  const claims = new Map(
    campuses.map((campus) => {
      const name = nameOf(site, kvWorkload(number), campus);
      return [campus, observed.children.get(childKey("PersistentVolumeClaim", name))];
    }),
  );
  const replicas = replicaStates(observed, number, campuses);
  const { bootstrap, made } = nextBootstrap(group.status, claims, replicas);
  const replacement = planReplacement({ observed, group, claims, replicas });
  const { replaced } = replacement;
  const isMaking = group.status.bootstrap === "Permitted";
  const { made: notedAsMade = [] } = group.status;
  // By what the status says already: whoever comes next must not take the new volume for the old one.
  const noted = group.status.replaced;
  const isRemaking = (campus: string) => noted?.campus === campus && noted.phase === "Rebuilding";
  const volumes = campuses.filter(
    (campus) =>
      (isMaking && !notedAsMade.includes(campus)) ||
      claims.get(campus) !== undefined ||
      isRemaking(campus),
  );
  const isBegun = (campus: string) => bootstrap !== "Permitted" || made.includes(campus);
  const lost = campuses.filter((campus) => isBegun(campus) && !volumes.includes(campus));
  const { actions, waitsFor } = replacement;
  const permits = permitsOf(group, replaced);
  const growing = campuses.filter((campus) => isGrowing(claims.get(campus)));
  return {
    group,
    replicas,
    bootstrap,
    made,
    replaced,
    permits,
    volumes,
    actions,
    lost,
    growing,
    waitsFor,
  };
}

function isGrowing({ claim }: Partial<Pick<Child, "claim">> = {}): boolean {
  if (claim === undefined || claim.capacity === "" || claim.storage === "") return false;
  return wholeUnits(claim.capacity) < wholeUnits(claim.storage);
}

function permitsOf({ spec, status }: KvGroup, replaced: Replaced | undefined): Permits {
  const service = KV_GROUPS[spec.number - 1]!;
  const isUnderWay = replaced !== undefined && replaced.phase !== "Done";
  return {
    ...(status.bootstrap === "Permitted" && firstDisks([service], status.made)),
    ...(isUnderWay && {
      rebuild: [{ service, campus: replaced.campus, token: digestlessToken(replaced.act) }],
    }),
  };
}

/** The permit for services' first disks, but where they are made. */
export function firstDisks<S extends NonNullable<Permits["bootstrap"]>[number]>(
  services: readonly S[],
  made: readonly string[] = [],
): Pick<Permits, "bootstrap" | "made"> {
  const disks = services.flatMap((service) => made.map((campus) => ({ service, campus })));
  return { bootstrap: [...services], ...(disks.length > 0 && { made: disks }) };
}

/** One line, as it is written beside the disk. */
function digestlessToken(act: string): string {
  return act.replaceAll(/\s+/g, " ").trim();
}

/**
 * What the status says of the first disks from now on; it is written before anything comes of it. A replica that has
 * served has a disk, whatever becomes of it: in another one that is empty it may not vote, however long the third
 * replica's zone is still to come.
 */
function nextBootstrap(
  { bootstrap: before, made: noted = [] }: KvGroupStatus,
  claims: ReadonlyMap<string, Child | undefined>,
  replicas: readonly ReplicaStatus[],
): Pick<GroupPlan, "bootstrap" | "made"> {
  if (before === undefined) {
    const isThere = [...claims.values()].some((claim) => claim !== undefined);
    return { bootstrap: isThere ? "Adopted" : "Permitted", made: [] };
  }
  if (before !== "Permitted") return { bootstrap: before, made: [] };
  const made = replicas.filter(({ campus, state }) => state === "ok" || noted.includes(campus));
  if (made.length === replicas.length) return { bootstrap: "Done", made: [] };
  return { bootstrap: before, made: made.map(({ campus }) => campus) };
}

interface Replacing {
  readonly observed: Observed;
  readonly group: KvGroup;
  readonly claims: ReadonlyMap<string, Child | undefined>;
  readonly replicas: readonly ReplicaStatus[];
}

type Replacement = Pick<GroupPlan, "replaced" | "actions" | "waitsFor">;

/** Removing (volume and pod go) -> Rebuilding (a new volume, from both others) -> Done. */
function planReplacement(facts: Replacing): Replacement {
  const { group, claims, replicas } = facts;
  const { replace: wanted, paused } = group.spec;
  const before = group.status.replaced;
  const standing: Replacement = { replaced: before, actions: [], waitsFor: undefined };
  if (paused) return standing;
  if (before !== undefined && before.phase !== "Done") return carryOn(facts, before);
  if (wanted === undefined || before?.act === wanted.act) return standing;
  const { act, campus } = wanted;
  if (!claims.has(campus)) {
    return { ...standing, waitsFor: `there is no campus ${campus} in this data centre` };
  }
  const others = replicas.filter((replica) => replica.campus !== campus);
  const weak = others.find(({ state }) => state !== "ok");
  if (weak !== undefined) {
    const why = `the replica in campus ${weak.campus} is ${weak.state}`;
    return { ...standing, waitsFor: `a new disk is filled from both others, and ${why}` };
  }
  return { ...standing, replaced: { act, campus, phase: "Removing" } };
}

/**
 * An act that has begun is brought to its end, whatever the spec says by then: a volume that is to go cannot stay,
 * and a permit must not outlive the act. Taken back before that, it is given up.
 */
function carryOn({ observed, group, claims, replicas }: Replacing, begun: Replaced): Replacement {
  const { act, campus, phase } = begun;
  const standing: Replacement = { replaced: begun, actions: [], waitsFor: undefined };
  const claim = claims.get(campus);
  if (phase === "Removing") {
    const { replace } = group.spec;
    const isWanted = replace?.act === act && replace.campus === campus;
    if (!isWanted && claim?.isLeaving === false) return { ...standing, replaced: undefined };
    const pod = observed.pods.find(
      (one) => one.workload === kvWorkload(group.spec.number) && one.campus === campus,
    );
    // The next pod has no place until it has a volume, and reads its permit when it starts.
    const isGone = claim === undefined && (pod === undefined || pod.node === "");
    if (isGone) return { ...standing, replaced: { ...begun, phase: "Rebuilding" } };
    const why = `replaced by hand (${isWanted ? replace.reason : act})`;
    return { ...standing, actions: removal(observed, { begun, claim, pod, why }) };
  }
  const isDone =
    replicas.find((replica) => replica.campus === campus)?.state === "ok" &&
    claim?.isLeaving === false;
  return isDone ? { ...standing, replaced: { ...begun, phase: "Done" } } : standing;
}

function removal(
  { nodes }: Pick<Observed, "nodes">,
  {
    begun: { act, campus },
    claim,
    pod,
    why,
  }: { begun: Replaced; claim: Child | undefined; pod: Pod | undefined; why: string },
): Action[] {
  const base = { act: "delete", disturbs: campus, namedAct: act, why } as const;
  const actions: Action[] = [];
  if (claim !== undefined && !claim.isLeaving) {
    const { kind, name, uid } = claim;
    actions.push({ ...base, kind, name, uid, isForced: false });
  }
  // The volume goes when the pod is gone, which a node that is away will never confirm.
  const isAway = pod !== undefined && nodes.get(pod.node)?.isReady !== true;
  if (pod !== undefined && pod.node !== "" && (!pod.isLeaving || isAway)) {
    actions.push({ ...base, kind: "Pod", name: pod.name, uid: pod.uid, isForced: isAway });
  }
  return actions;
}

export interface GroupFacts {
  readonly plan: GroupPlan;
  /** Slots it serves; undefined: the table could not be read. */
  readonly slots: number | undefined;
  /** What is under way beside what the plan knows: a roll, a move of slots. */
  readonly progress: Statement;
  readonly nowMs: number;
}

export function groupStatus({ plan, slots, progress, nowMs }: GroupFacts): KvGroupStatus {
  const { group, replicas, bootstrap, made, replaced } = plan;
  const { generation, status } = group;
  const statements = [ready(plan), degraded(plan), quorum(plan), progressing(plan, progress)];
  return {
    observedGeneration: generation,
    zones: zoneLine(replicas),
    replicas: replicas.map((replica) => ({ ...replica })),
    ...((slots ?? status.slots) !== undefined && { slots: slots ?? status.slots }),
    ...(bootstrap !== undefined && { bootstrap }),
    ...(made.length > 0 && { made: [...made] }),
    ...(replaced !== undefined && { replaced }),
    conditions: conditionsOf(statements, status.conditions, { generation, nowMs }),
  };
}

function ready({ replicas, bootstrap, lost }: GroupPlan): Statement {
  const [missing] = lost;
  if (missing !== undefined) return say("Ready", false, "VolumeMissing", lostText(missing));
  const weak = replicas.filter(({ state }) => state !== "ok");
  if (weak.length === 0)
    return say("Ready", true, "AllServe", "3 of 3 replicas serve and are caught up");
  const reason = bootstrap === "Permitted" ? "NotReadyYet" : "PodsMissing";
  return say("Ready", false, reason, weak.map(describeReplica).join("; "));
}

function lostText(campus: string): string {
  return (
    `campus ${campus}: the volume is gone, and an empty one has no right to vote; ` +
    "`tricampus kv group replace` fills a new one from both others"
  );
}

function describeReplica({ campus, state, message }: ReplicaStatus): string {
  return `campus ${campus} is ${state}${message === "" ? "" : `: ${message}`}`;
}

function degraded({ replicas, bootstrap, lost }: GroupPlan): Statement {
  const weak = replicas.filter(({ state }) => state !== "ok");
  const [first] = weak;
  if (first === undefined) return say("Degraded", false, "Whole", "3 of 3 replicas");
  const text = weak.map(describeReplica).join("; ");
  if (lost.length > 0) return say("Degraded", true, "VolumeMissing", lostText(lost[0]!));
  if (bootstrap === "Permitted") return say("Degraded", false, "Bootstrapping", text);
  if (first.state === "down") return say("Degraded", true, "ReplicaDown", text);
  if (first.state === "pending") return say("Degraded", true, "ReplicaPending", text);
  if (first.state === "unknown") return say("Degraded", undefined, "NotReadyYet", text);
  return say("Degraded", true, "ReplicaUnready", text);
}

function quorum({ replicas, bootstrap }: GroupPlan): Statement {
  const serving = replicas.filter(({ state }) => state === "ok");
  const unknown = replicas.filter(({ state }) => state === "unknown");
  const text = `${serving.length} of 3 replicas serve`;
  if (serving.length >= 2) return say("QuorumAvailable", true, "AllServe", text);
  // Nothing is lost that was never there.
  if (bootstrap === "Permitted") return say("QuorumAvailable", false, "Bootstrapping", text);
  if (serving.length + unknown.length >= 2)
    return say("QuorumAvailable", undefined, "NotReadyYet", text);
  return say("QuorumAvailable", false, "QuorumLost", text);
}

function progressing(plan: GroupPlan, other: Statement): Statement {
  if (other.reason === "Paused") return other;
  const { group, replaced, waitsFor, bootstrap, growing } = plan;
  if (waitsFor !== undefined) return say("Progressing", true, "ReplaceWaits", waitsFor);
  if (replaced !== undefined && replaced.phase !== "Done") {
    const why = group.spec.replace?.reason ?? replaced.act;
    const text = `campus ${replaced.campus}: ${replaced.phase.toLowerCase()} (${why})`;
    return say("Progressing", true, "Replacing", text);
  }
  if (bootstrap === "Permitted") return say("Progressing", true, "Bootstrapping", "first disks");
  if (growing.length > 0) {
    const text = `the volumes in campuses ${growing.join(", ")} are growing`;
    return say("Progressing", true, "Expanding", text);
  }
  return other;
}
