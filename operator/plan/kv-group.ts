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
import type { Replaced } from "../api/schema.ts";
import { wholeUnits } from "../manifests/quantity.ts";
import { nameOf, type Site } from "../manifests/site.ts";
import { conditionsOf, type Statement, say } from "./conditions.ts";
import { type Child, childKey, kvWorkload, type Observed, type Resource } from "./observed.ts";
import {
  isRemade,
  isReplacedNow,
  mayRebuild,
  planReplacement,
  type Replacement,
  sayReplacing,
  tokenOf,
} from "./replacement.ts";
import { replicaStates, zoneLine } from "./replica-states.ts";

export type KvGroup = Resource<KvGroupSpec, KvGroupStatus>;
type Bootstrap = KvGroupStatus["bootstrap"];

export interface GroupPlan extends Replacement {
  readonly group: KvGroup;
  readonly replicas: readonly ReplicaStatus[];
  readonly bootstrap: Bootstrap;
  /** During the bootstrap: campuses whose disk is made. */
  readonly made: readonly string[];
  readonly permits: Permits;
  /** Campuses whose volume may be made or changed. */
  readonly volumes: readonly string[];
  /** Campuses whose volume is not there and must not be made. */
  readonly lost: readonly string[];
  /** Campuses whose volume is to grow and has not yet. */
  readonly growing: readonly string[];
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
  const { replaced, actions, waitsFor } = planReplacement(observed, {
    ...{ wanted: group.spec.replace, before: group.status.replaced, claims },
    ...{ isPaused: group.spec.paused, workload: kvWorkload(number) },
    weakness: (campus) => {
      const replica = replicas.find((one) => one.campus === campus);
      if (replica?.state === "ok") return undefined;
      return `the replica in campus ${campus} is ${replica?.state ?? "missing"}`;
    },
  });
  const isMaking = group.status.bootstrap === "Permitted";
  const { made: notedAsMade = [] } = group.status;
  const volumes = campuses.filter(
    (campus) =>
      (isMaking && !notedAsMade.includes(campus)) ||
      claims.get(campus) !== undefined ||
      isRemade(group.status.replaced, campus),
  );
  const isBegun = (campus: string) => bootstrap !== "Permitted" || made.includes(campus);
  const isMissing = (campus: string) => isBegun(campus) && !volumes.includes(campus);
  const lost = campuses.filter((campus) => isMissing(campus) && !isReplacedNow(replaced, campus));
  const permits = permitsOf(group, mayRebuild(replaced, claims) ? replaced : undefined);
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

function permitsOf({ spec, status }: KvGroup, rebuilt: Replaced | undefined): Permits {
  const service = KV_GROUPS[spec.number - 1]!;
  return {
    ...(status.bootstrap === "Permitted" && firstDisks([service], status.made)),
    ...(rebuilt !== undefined && {
      rebuild: [{ service, campus: rebuilt.campus, token: tokenOf(rebuilt) }],
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
  const { group, bootstrap, growing } = plan;
  const replacing = sayReplacing(plan, group.spec.replace);
  if (replacing !== undefined) return replacing;
  if (bootstrap === "Permitted") return say("Progressing", true, "Bootstrapping", "first disks");
  if (growing.length > 0) {
    const text = `the volumes in campuses ${growing.join(", ")} are growing`;
    return say("Progressing", true, "Expanding", text);
  }
  return other;
}
