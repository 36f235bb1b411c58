/**
 * One round for a data centre: look, plan, carry out, say. The plan decides for its DataCenter, its
 * Campuses and its KVGroups together, since what may be done to one depends on how the others are.
 */

import type { Condition } from "../api/schema.ts";
import { API_GROUP, API_VERSION } from "../api/schema.ts";
import { type Issued, READ_ISSUED_EVERY_MS, readIssued } from "../execute/certificates.ts";
import { hasCredentials } from "../execute/credentials.ts";
import { applyObject, type Executor, execute } from "../execute/execute.ts";
import { OwnWrites, type Seen } from "../execute/own-writes.ts";
import { Restraint } from "../execute/restraint.ts";
import type { Events } from "../kube/events.ts";
import { isSameJson, stableJson } from "../kube/stable-json.ts";
import type { Outcome as RoundOutcome } from "../kube/work-queue.ts";
import { OUTSIDE } from "../manifests/outside.ts";
import type { Cluster } from "../observe/cluster.ts";
import { type Action, describeAction } from "../plan/actions.ts";
import { conditionsOf, say } from "../plan/conditions.ts";
import { type Plan, planDataCenter, type StatusOf } from "../plan/data-center.ts";
import { type Desired, type DesiredInputs, desiredOf } from "../plan/desired.ts";
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
  readonly now: () => number;
  readonly log: (dataCenter: string, text: string) => void;
}

/** When the copies do not show yet what was written. */
const UNSEEN_AGAIN_MS = 20;
/** With nothing heard, everything is looked at again: ends of blocks, what was missed in thought. */
const AGAIN_MS = 60_000;

interface Memory {
  readonly uid: string;
  hasCredentials: boolean;
  /** undefined: to be read. */
  issued: Issued | undefined;
  issuedReadAtMs: number;
  readonly outcomes: Map<string, Outcome>;
  readonly writes: OwnWrites;
  readonly restraint: Restraint;
  desired: { key: string; all: readonly Desired[] } | undefined;
}

export class DataCenterReconciler {
  readonly #parts: ReconcilerParts;
  readonly #memories = new Map<string, Memory>();

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  async reconcile(name: string): Promise<RoundOutcome> {
    const { cluster, executor } = this.#parts;
    const dataCenter = cluster.dataCenters.get(name);
    if (dataCenter === undefined) {
      this.#memories.delete(name);
      executor.store.forget(name);
      await this.#tellOrphans(name);
      return {};
    }
    const memory = this.#memoryOf(name, dataCenter.uid);
    if (this.#areUnseen(name, memory.writes)) return { againMs: UNSEEN_AGAIN_MS };
    const planned = await this.plan(name);
    if (planned === undefined) return {};
    const { observed, plan } = planned;
    try {
      await this.#carryOut(name, { memory, plan });
    } finally {
      // What cannot be done now is no reason to be silent about what is.
      await this.#tell(observed, plan, memory.writes);
    }
    return { againMs: plan.againMs ?? AGAIN_MS };
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
    return { observed, plan: planDataCenter(observed, (inputs) => this.#desired(memory, inputs)) };
  }

  /** The data centre as it is known now; undefined when there is none of that name. */
  #observe(name: string): Observed | undefined {
    const { cluster, executor, image, settleMs, now } = this.#parts;
    const dataCenter = cluster.dataCenters.get(name);
    if (dataCenter === undefined) return undefined;
    const { children, pods, campuses, groups } = cluster.inside(name);
    const doors = new Map<string, { host: string; service: string }>();
    for (const child of children.values()) {
      const { kind, ip, workload, campus } = child;
      if (kind === "Service" && ip !== "" && campus !== "" && !isForOutside(workload))
        doors.set(`${workload}/${campus}`, { host: ip, service: serviceIn(workload) });
    }
    const memory = this.#memoryOf(name, dataCenter.uid);
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
      hasCredentials: memory.hasCredentials,
      certificates: memory.issued?.certificates,
      settleMs,
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
        writes: new OwnWrites(),
        restraint: new Restraint(),
        desired: undefined,
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

  /** What should be is built anew only when something that it is made of has changed. */
  #desired(memory: Memory, inputs: DesiredInputs): readonly Desired[] {
    const { site, groups, permits, volumes, ips } = inputs;
    const { spec, ...place } = site;
    const rest = stableJson([place, [...permits], [...volumes], [...ips].sort()]);
    const key = [textOf(spec), ...groups.map(textOf), rest].join("\n");
    if (memory.desired?.key !== key) memory.desired = { key, all: desiredOf(inputs) };
    return memory.desired.all;
  }

  async #carryOut(name: string, { memory, plan }: { memory: Memory; plan: Plan }): Promise<void> {
    const { executor, log } = this.#parts;
    const { writes, outcomes, restraint } = memory;
    const nowMs = performance.now();
    restraint.forget(nowMs);
    const due = plan.actions.filter((action) => restraint.allows(keyOf(action), nowMs));
    for (const action of due) {
      log(name, describeAction(action));
      restraint.did(keyOf(action), nowMs);
    }
    await execute(executor, { dataCenter: name, writes, outcomes }, due);
    if (due.some(({ act }) => act === "issue-certificates")) memory.issued = undefined;
  }

  async #tell({ dataCenter }: Observed, plan: Plan, writes: OwnWrites): Promise<void> {
    await this.#say(writes, "DataCenter", { resource: dataCenter, status: plan.dataCenter });
    for (const campus of plan.campuses) await this.#say(writes, "Campus", campus);
    for (const group of plan.groups) await this.#say(writes, "KVGroup", group);
  }

  #areUnseen(name: string, writes: OwnWrites): boolean {
    const { cluster } = this.#parts;
    const { children, pods, campuses, groups } = cluster.inside(name);
    const look = (key: string): Seen | undefined => {
      const [kind, object = ""] = key.split("/");
      if (kind === "DataCenter") return cluster.dataCenters.get(object);
      if (kind === "Campus") return campuses.get(object);
      if (kind === "KVGroup") return groups.get(object);
      return kind === "Pod" ? pods.get(object) : children.get(key);
    };
    return writes.areUnseen(look, performance.now());
  }

  async #say(
    writes: OwnWrites,
    kind: "DataCenter" | "Campus" | "KVGroup",
    { resource, status }: StatusOf<{ conditions?: Condition[] | undefined }>,
  ): Promise<void> {
    if (isSameJson(resource.status, status)) return;
    const { executor, events } = this.#parts;
    const { name, uid } = resource;
    const apiVersion = `${API_GROUP}/${API_VERSION}`;
    // The object that was looked at, and no other one of that name.
    const object = { apiVersion, kind, metadata: { name, uid }, status };
    await applyObject(executor, writes, { object, subresource: "/status" });
    const regarding = { apiVersion, kind, namespace: executor.namespace, name, uid };
    for (const told of eventsOf(resource.status.conditions, status.conditions ?? []))
      events.tell(regarding, { ...told, action: "Observed" });
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

/** What people wrote stays the same object until they write again. */
const texts = new WeakMap<object, string>();

function textOf(spec: object): string {
  let text = texts.get(spec);
  if (text === undefined) {
    text = stableJson(spec);
    texts.set(spec, text);
  }
  return text;
}

/** Services that lead people in, and not our own processes to each other. */
function isForOutside(workload: string): boolean {
  return workload === OUTSIDE.clients || workload === OUTSIDE.admin;
}

/** By which repetitions are told: the same content again, the same object again. */
function keyOf(action: Action): string {
  if (action.act === "apply") return `apply ${action.kind}/${action.name} ${action.digest}`;
  return action.act === "delete" ? `delete ${action.uid}` : action.act;
}
