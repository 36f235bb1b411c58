/**
 * One round for a data centre: look, plan, carry out, say. The plan decides for its DataCenter, its
 * Campuses and its KVGroups together, since what may be done to one depends on how the others are.
 */

import { rest } from "../../services/svrkit/rest.ts";
import type { Condition } from "../api/schema.ts";
import { API_GROUP, API_VERSION } from "../api/schema.ts";
import { type Issued, READ_ISSUED_EVERY_MS, readIssued } from "../execute/certificates.ts";
import { hasCredentials } from "../execute/credentials.ts";
import { applyObject, type Executor, execute } from "../execute/execute.ts";
import { OwnWrites, type Seen } from "../execute/own-writes.ts";
import { PAUSES_OF_ASKING, Restraint } from "../execute/restraint.ts";
import { digestOfValue, NO_DIGEST } from "../kube/digest.ts";
import type { Events } from "../kube/events.ts";
import { isSameJson } from "../kube/stable-json.ts";
import type { Outcome as RoundOutcome } from "../kube/work-queue.ts";
import { OUTSIDE } from "../manifests/outside.ts";
import type { Cluster } from "../observe/cluster.ts";
import { actionKey, describeAction } from "../plan/actions.ts";
import type { CampusObject } from "../plan/campus.ts";
import { conditionsOf, say } from "../plan/conditions.ts";
import { type Plan, planDataCenter, type StatusOf } from "../plan/data-center.ts";
import { type Desired, type DesiredInputs, fixedOf, movingOf } from "../plan/desired.ts";
import { eventsOf } from "../plan/events.ts";
import type { Observed, Outcome } from "../plan/observed.ts";
import { serviceIn } from "../plan/workloads.ts";

export interface ReconcilerParts {
  readonly cluster: Cluster;
  readonly executor: Executor;
  readonly events: Events;
  /** The operator's own image. */
  readonly image: string;
  readonly settleMs: number;
  readonly addressesHeardMs: number;
  readonly now: () => number;
  readonly log: (dataCenter: string, text: string) => void;
}

/** How often it is looked whether the copies show what was written, and for how long in one turn. */
const LOOK_MS = 10;
const LOOKS_MAX = 50;
/** A data centre is followed through so many rounds before others have their turn. */
const ROUNDS_MAX = 8;
/** Of so many that are followed it is kept what they should be: a megabyte each. */
const FOLLOWED_MAX = 8;
/** With nothing heard, everything is looked at again: ends of blocks, what was missed in thought. */
const AGAIN_MS = 60_000;

/** Digests of what it is made from: of what people's specs say alone, and of all. */
interface DesiredKey {
  readonly fixed: number;
  readonly all: number;
}

/** What should be, as it was made last. */
interface Made {
  readonly key: DesiredKey;
  readonly fixed: readonly Desired[];
  readonly all: readonly Desired[];
}

interface Memory {
  readonly uid: string;
  hasCredentials: boolean;
  /** undefined: to be read. */
  issued: Issued | undefined;
  issuedReadAtMs: number;
  readonly outcomes: Map<string, Outcome>;
  /** By action: why the API server refused it when it was tried last. */
  readonly refusals: Map<string, string>;
  readonly writes: OwnWrites;
  readonly restraint: Restraint;
  /** What should be, and the state of the children, when they were found to be the same. */
  asWanted: { readonly key: number; readonly revision: number } | undefined;
}

export class DataCenterReconciler {
  readonly #parts: ReconcilerParts;
  readonly #memories = new Map<string, Memory>();
  readonly #followed = new Map<string, Made>();

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /** Follows a data centre for as long as each round does something and its effect is soon seen. */
  async reconcile(name: string): Promise<RoundOutcome> {
    for (let rounds = 1; ; rounds++) {
      const { againMs, found } = await this.#round(name);
      if (found === "nothing to do") this.#followed.delete(name);
      const isEnough = rounds === ROUNDS_MAX || this.#parts.executor.leftMs() <= 0;
      if (found !== "something" || isEnough) return { againMs };
    }
  }

  /** `found`: "nothing yet" while the copies do not show what was written last. */
  async #round(
    name: string,
  ): Promise<RoundOutcome & { found: "something" | "nothing yet" | "nothing to do" }> {
    const { cluster, executor } = this.#parts;
    const dataCenter = cluster.dataCenters.get(name);
    if (dataCenter === undefined) {
      this.#memories.delete(name);
      executor.store.forget(name);
      await this.#tellOrphans(name);
      return { found: "nothing to do" };
    }
    const memory = this.#memoryOf(name, dataCenter.uid);
    for (let looks = 1; this.#areUnseen(name, memory.writes); looks++) {
      if (looks === LOOKS_MAX) return { againMs: LOOK_MS, found: "nothing yet" };
      await rest(LOOK_MS);
    }
    const planned = await this.plan(name);
    if (planned === undefined) return { found: "nothing to do" };
    const { observed, plan } = planned;
    let acts = 0;
    let told = 0;
    try {
      acts = await this.#carryOut(name, { memory, plan });
    } finally {
      // What cannot be done now is no reason to be silent about what is.
      told = await this.#tell(observed, plan, memory.writes);
    }
    const found = acts + told > 0 ? "something" : "nothing to do";
    return { againMs: Math.min(plan.againMs ?? AGAIN_MS, AGAIN_MS), found };
  }

  /** What would be done now, and why; undefined when there is no data centre of that name. */
  async plan(name: string): Promise<{ observed: Observed; plan: Plan } | undefined> {
    const { cluster, executor } = this.#parts;
    const dataCenter = cluster.dataCenters.get(name);
    if (dataCenter === undefined) return undefined;
    const memory = this.#memoryOf(name, dataCenter.uid);
    memory.hasCredentials ||= await hasCredentials(executor, name);
    if (dataCenter.spec.tls.mode === "Own") await this.#readIssued(name, memory);
    const observed = this.#observe(name);
    if (observed === undefined) return undefined;
    const { revision } = cluster.inside(name);
    let all = NO_DIGEST;
    const plan = planDataCenter(observed, (inputs) => {
      const key = keyOfInputs(inputs);
      all = key.all;
      const { asWanted } = memory;
      if (asWanted?.key === key.all && asWanted.revision === revision) return "as it is";
      return this.#desired(name, inputs, key);
    });
    if (plan.isAsWanted) memory.asWanted = { key: all, revision };
    return { observed, plan };
  }

  /** What should be is made anew only as far as what it is made of has changed. */
  #desired(name: string, inputs: DesiredInputs, key: DesiredKey): readonly Desired[] {
    const made = this.#followed.get(name);
    if (made?.key.all === key.all) return made.all;
    const fixed = made?.key.fixed === key.fixed ? made.fixed : fixedOf(inputs);
    const all = [...movingOf(inputs), ...fixed];
    this.#followed.delete(name);
    if (this.#followed.size >= FOLLOWED_MAX)
      this.#followed.delete(this.#followed.keys().next().value!);
    this.#followed.set(name, { key, fixed, all });
    return all;
  }

  /** The data centre as it is known now; undefined when there is none of that name. */
  #observe(name: string): Observed | undefined {
    const { cluster, executor, image, settleMs, addressesHeardMs, now } = this.#parts;
    const dataCenter = cluster.dataCenters.get(name);
    if (dataCenter === undefined) return undefined;
    const { pods, campuses, groups } = cluster.inside(name);
    const children = cluster.childrenOf(name);
    const behind = new Map([...pods.values()].map((pod) => [`${pod.workload}/${pod.campus}`, pod]));
    const doors = new Map<string, { host: string; service: string; pod: string }>();
    for (const child of children.values()) {
      const { service, workload, campus } = child;
      if (service === undefined || service.ip === "" || campus === "" || isForOutside(workload))
        continue;
      const key = `${workload}/${campus}`;
      const pod = behind.get(key)?.uid ?? "";
      doors.set(key, { host: service.ip, service: serviceIn(workload), pod });
    }
    const memory = this.#memoryOf(name, dataCenter.uid);
    forgetCarried(memory.outcomes, campuses);
    const isPlain = dataCenter.spec.tls.mode === "Plain";
    executor.store.follow(name, { doors, security: isPlain ? "plain" : memory.issued?.own });
    return {
      nowMs: now(),
      namespace: executor.namespace,
      dataCenter,
      campuses: [...campuses.values()],
      groups: [...groups.values()],
      children,
      pods: [...pods.values()],
      nodes: cluster.nodes,
      ...executor.store.facts(name),
      outcomes: memory.outcomes,
      refusals: memory.refusals,
      hasCredentials: memory.hasCredentials,
      certificates: memory.issued?.certificates,
      authoritySinceMs: memory.issued?.authoritySinceMs ?? 0,
      ageMs: cluster.podsAgeMs,
      settleMs,
      addressesHeardMs,
      image,
    };
  }

  #memoryOf(name: string, uid: string): Memory {
    let memory = this.#memories.get(name);
    if (memory?.uid !== uid) {
      memory = {
        uid,
        hasCredentials: false,
        issued: undefined,
        issuedReadAtMs: 0,
        outcomes: new Map(),
        refusals: new Map(),
        writes: new OwnWrites(),
        restraint: new Restraint(),
        asWanted: undefined,
      };
      this.#memories.set(name, memory);
    }
    return memory;
  }

  async #readIssued(name: string, memory: Memory): Promise<void> {
    const { executor, now } = this.#parts;
    const isOld = now() - memory.issuedReadAtMs > READ_ISSUED_EVERY_MS;
    if (memory.issued !== undefined && !isOld) return;
    memory.issued = await readIssued(executor, name);
    memory.issuedReadAtMs = now();
  }

  /**
   * How many actions were carried out, or refused for the first time, which the next round says: of what goes on to be
   * refused no round follows at once.
   */
  async #carryOut(name: string, { memory, plan }: { memory: Memory; plan: Plan }): Promise<number> {
    const { executor, log } = this.#parts;
    const { writes, outcomes, refusals, restraint } = memory;
    const nowMs = performance.now();
    restraint.forget(nowMs);
    const due = plan.actions.filter((action) => {
      const pauses = action.act === "evict" ? PAUSES_OF_ASKING : undefined;
      return restraint.allows(actionKey(action), nowMs, pauses);
    });
    for (const action of due) log(name, describeAction(action));
    restraint.did(due.map(actionKey), nowMs);
    const standing = new Set(plan.refused);
    for (const key of refusals.keys()) if (!standing.has(key)) refusals.delete(key);
    const refused = new Set(refusals.keys());
    try {
      const round = { dataCenter: name, writes, outcomes, refusals };
      const done = await execute(executor, round, due);
      return done + [...refusals.keys()].filter((key) => !refused.has(key)).length;
    } finally {
      // Also when an answer is lost: what was written is read again before anything is concluded.
      if (due.some(({ act }) => act === "issue-certificates")) memory.issued = undefined;
    }
  }

  /** How many statuses were written. */
  async #tell({ dataCenter }: Observed, plan: Plan, writes: OwnWrites): Promise<number> {
    const said = await Promise.allSettled([
      this.#say(writes, "DataCenter", { resource: dataCenter, status: plan.dataCenter }),
      ...plan.campuses.map((campus) => this.#say(writes, "Campus", campus)),
      ...plan.groups.map((group) => this.#say(writes, "KVGroup", group)),
    ]);
    // None is under way any more, so that the next round knows of all that were written.
    for (const one of said) if (one.status === "rejected") throw one.reason;
    return said.filter((one) => one.status === "fulfilled" && one.value).length;
  }

  #areUnseen(name: string, writes: OwnWrites): boolean {
    const { cluster } = this.#parts;
    if (writes.isEmpty) return false;
    const { pods, campuses, groups } = cluster.inside(name);
    const look = (key: string): Seen | undefined => {
      const [kind = "", object = ""] = key.split("/");
      if (kind === "DataCenter") return cluster.dataCenters.get(object);
      if (kind === "Campus") return campuses.get(object);
      if (kind === "KVGroup") return groups.get(object);
      return kind === "Pod" ? pods.get(object) : cluster.childOf(kind, object);
    };
    return writes.areUnseen(look, performance.now());
  }

  async #say(
    writes: OwnWrites,
    kind: "DataCenter" | "Campus" | "KVGroup",
    { resource, status }: StatusOf<{ conditions?: Condition[] | undefined }>,
  ): Promise<boolean> {
    if (isSameJson(resource.status, status)) return false;
    const { executor, events } = this.#parts;
    const { name, uid, resourceVersion } = resource;
    const apiVersion = `${API_GROUP}/${API_VERSION}`;
    // As it was looked at, and no other one of that name: a status is also what the next steps are taken from.
    const object = { apiVersion, kind, metadata: { name, uid, resourceVersion }, status };
    await applyObject(executor, writes, { object, subresource: "/status" });
    const regarding = { apiVersion, kind, namespace: executor.namespace, name, uid };
    for (const told of eventsOf(resource.status.conditions, status.conditions ?? []))
      events.tell(regarding, { ...told, action: "Observed" });
    return true;
  }

  /** Campuses and KVGroups that name a data centre which does not exist. */
  async #tellOrphans(name: string): Promise<void> {
    const { cluster, now } = this.#parts;
    const { campuses, groups } = cluster.inside(name);
    const missing = say("Ready", false, "DataCenterMissing", `there is no DataCenter ${name} here`);
    const orphans = [
      ...[...campuses.values()].map((resource) => ["Campus", resource] as const),
      ...[...groups.values()].map((resource) => ["KVGroup", resource] as const),
    ];
    const writes = new OwnWrites();
    for (const [kind, resource] of orphans) {
      const { generation } = resource;
      const before = resource.status.conditions;
      const conditions = conditionsOf([missing], before, { generation, nowMs: now() });
      await this.#say(writes, kind, { resource, status: { ...resource.status, conditions } });
    }
  }
}

/** What a Campus's status holds is not kept beside it: the same wish, made once more, is carried once more. */
function forgetCarried(
  outcomes: Map<string, Outcome>,
  campuses: ReadonlyMap<string, CampusObject>,
): void {
  for (const [name, { wish, outcome, message }] of outcomes) {
    const object = campuses.get(name);
    const carried = object?.status.carried;
    const isHeld =
      carried?.wish === wish && carried.outcome === outcome && carried.message === message;
    if (object === undefined || isHeld) outcomes.delete(name);
  }
}

function keyOfInputs(inputs: DesiredInputs): DesiredKey {
  const { site, groups, permits, volumes, ips, retiring } = inputs;
  const { spec, ...place } = site;
  const fixed = digestOfValue([[spec, ...groups].map(digestOfSpec), place]);
  return {
    fixed,
    all: digestOfValue([fixed, [...permits], [...volumes], [...ips].sort(), retiring]),
  };
}

/** What people wrote stays the same object until they write again. */
const digests = new WeakMap<object, number>();

function digestOfSpec(spec: object): number {
  let digest = digests.get(spec);
  if (digest === undefined) {
    digest = digestOfValue(spec);
    digests.set(spec, digest);
  }
  return digest;
}

/** Services that lead people in, and not our own processes to each other. */
function isForOutside(workload: string): boolean {
  return workload === OUTSIDE.clients || workload === OUTSIDE.admin;
}
