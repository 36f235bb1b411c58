/**
 * Carries a plan out, action after action, and decides nothing. Every action can be repeated, and each
 * asks first whether this operator may still act.
 */
import { RpcError } from "../../services/svrkit/errors.ts";
import { ApiError, type Requests } from "../kube/api-client.ts";
import { type KindName, pathOf } from "../kube/api-paths.ts";
import type { KubeObject } from "../kube/object.ts";
import { ANNOTATION } from "../manifests/site.ts";
import { FIELD_MANAGER } from "../observe/projection.ts";
import type { StoreLink } from "../observe/store-link.ts";
import { type Action, actionKey, isConfig, isOfPods, workloadOf } from "../plan/actions.ts";
import { childKey, type Outcome } from "../plan/observed.ts";
import { issueCertificates } from "./certificates.ts";
import { makeCredentials } from "./credentials.ts";
import type { OwnWrites } from "./own-writes.ts";

export interface Executor {
  readonly client: Requests;
  readonly namespace: string;
  readonly store: StoreLink;
  /** How long this operator may still act; 0: not any more. */
  readonly leftMs: () => number;
  /** Told of each action after it was carried out. */
  readonly done: (dataCenter: string, action: Action) => void;
}

export class NotLeading extends Error {
  constructor() {
    super("another operator acts now");
    this.name = "NotLeading";
  }
}

const REQUEST_MS = 10_000;

/** Applies that follow each other and depend on nothing may be under way at once: so many. */
const APPLIES_MAX = 6;

interface Round {
  readonly dataCenter: string;
  readonly writes: OwnWrites;
  /** What the control table answered to blocks, by name of the Campus object. */
  readonly outcomes: Map<string, Outcome>;
  /** By action: why the server refused it; no entry: it did not. */
  readonly refusals: Map<string, string>;
}

/**
 * What the server refuses is noted, and keeps nothing else from being done but what needs it. Says how many were
 * carried out.
 */
export async function execute(
  executor: Executor,
  round: Round,
  actions: readonly Action[],
): Promise<number> {
  let done = 0;
  /** Workloads whose configuration was refused. */
  const refused = new Set<string>();
  const mayBegin = (action: Action) => !isOfPods(action) || !refused.has(workloadOf(action));
  for (let at = 0; at < actions.length; ) {
    const end = at + countTogether(actions.slice(at, at + APPLIES_MAX));
    const due = actions.slice(at, end).filter(mayBegin);
    const taken = await Promise.all(due.map((action) => tryOut(executor, round, action)));
    done += taken.filter(Boolean).length;
    for (const [i, action] of due.entries())
      if (taken[i] === false && isConfig(action)) refused.add(workloadOf(action));
    at = end;
  }
  return done;
}

/**
 * How an eviction is refused for now: a budget says so, or the server, with others of its kind (429); the budget was
 * changed by others all the while (504); there is another pod of that name, or others change this one (409).
 */
const NOT_NOW: ReadonlySet<number> = new Set([409, 429, 504]);

/** Applies that may be under way at once: pods of a workload come after what they read at their start. */
function countTogether(actions: readonly Action[]): number {
  const configs = new Set<string>();
  for (const [i, action] of actions.entries()) {
    if (action.act !== "apply") return Math.max(1, i);
    if (isConfig(action)) configs.add(workloadOf(action));
    else if (isOfPods(action) && configs.has(workloadOf(action))) return i;
  }
  return actions.length;
}

/** False: the server has refused it. */
async function tryOut(executor: Executor, round: Round, action: Action): Promise<boolean> {
  if (executor.leftMs() <= 0) throw new NotLeading();
  try {
    await carryOut(executor, round, action);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const isNotNow = action.act === "evict" && NOT_NOW.has(error.status);
    if (!error.isRefusal && !isNotNow) throw error;
    round.refusals.set(actionKey(action), error.budget ?? error.message);
    return false;
  }
  round.refusals.delete(actionKey(action));
  executor.done(round.dataCenter, action);
  return true;
}

async function carryOut(executor: Executor, round: Round, action: Action): Promise<void> {
  const { dataCenter, writes, outcomes } = round;
  switch (action.act) {
    case "apply":
      return applyObject(executor, writes, { object: action.object });
    case "delete":
      return deleteObject(executor, writes, action);
    case "evict":
      return evictPod(executor, writes, action);
    case "note-act":
      return noteAct(executor, writes, action);
    case "issue-certificates":
      return issueCertificates(executor, dataCenter, action);
    case "make-credentials":
      return makeCredentials(executor, dataCenter);
    case "block":
    case "unblock": {
      const outcome = await changeBlock(executor, dataCenter, action);
      outcomes.set(action.of.name, { wish: action.of.wish, ...outcome });
      return;
    }
    case "even-slots":
      return evenSlots(executor, dataCenter, action);
  }
}

/** Ours are the fields that are sent and no others; what somebody else has set of them is taken back. */
export async function applyObject(
  { client, namespace }: Pick<Executor, "client" | "namespace">,
  writes: OwnWrites,
  { object, subresource = "" }: { object: KubeObject; subresource?: string },
): Promise<void> {
  const kind = object.kind as KindName;
  const { name, uid } = object.metadata;
  const version = await client.write({
    method: "PATCH",
    path: `${pathOf(kind, namespace, name)}${subresource}?fieldManager=${FIELD_MANAGER}&force=true`,
    contentType: "application/apply-patch+yaml",
    body: object,
    timeoutMs: REQUEST_MS,
  });
  // With a uid the server takes a write for the object that was looked at, or not at all.
  writes.wrote(childKey(kind, name), { version, wasThere: uid !== undefined }, performance.now());
}

/** By a manager of its own: no version of the operator takes away what it does not apply itself. */
async function noteAct(
  { client, namespace }: Executor,
  writes: OwnWrites,
  { name, uid, noted }: Action & { act: "note-act" },
): Promise<void> {
  const kind = "PersistentVolumeClaim";
  const annotations = { [ANNOTATION.madeBy]: noted };
  try {
    const version = await client.write({
      method: "PATCH",
      path: `${pathOf(kind, namespace, name)}?fieldManager=${FIELD_MANAGER}-acts`,
      contentType: "application/merge-patch+json",
      body: { metadata: { uid, annotations } },
      timeoutMs: REQUEST_MS,
    });
    writes.wrote(childKey(kind, name), { version, wasThere: true }, performance.now());
  } catch (error) {
    if (!(error instanceof ApiError && (error.isNotFound || error.isConflict))) throw error;
  }
}

async function deleteObject(
  { client, namespace }: Executor,
  writes: OwnWrites,
  { kind, name, uid, isForced }: Action & { act: "delete" },
): Promise<void> {
  const options = {
    apiVersion: "v1",
    kind: "DeleteOptions",
    preconditions: { uid },
    propagationPolicy: "Background",
    ...(isForced && { gracePeriodSeconds: 0 }),
  };
  try {
    await client.carryOut({
      method: "DELETE",
      path: pathOf(kind as KindName, namespace, name),
      body: options,
      timeoutMs: REQUEST_MS,
    });
  } catch (error) {
    // Gone, or another one of that name: neither is what was looked at.
    if (!(error instanceof ApiError && (error.isNotFound || error.isConflict))) throw error;
  }
  writes.deleted(childKey(kind, name), uid, performance.now());
}

/** The server asks the budgets that guard the pod. */
async function evictPod(
  { client, namespace }: Executor,
  writes: OwnWrites,
  { name, uid }: Action & { act: "evict" },
): Promise<void> {
  const body = {
    apiVersion: "policy/v1",
    kind: "Eviction",
    metadata: { name, namespace },
    deleteOptions: { preconditions: { uid } },
  };
  try {
    await client.carryOut({
      method: "POST",
      path: `${pathOf("Pod", namespace, name)}/eviction`,
      body,
      timeoutMs: REQUEST_MS,
    });
  } catch (error) {
    if (!(error instanceof ApiError && error.isNotFound)) throw error;
  }
  writes.deleted(childKey("Pod", name), uid, performance.now());
}

async function changeBlock(
  { store }: Executor,
  dataCenter: string,
  action: Action & { act: "block" | "unblock" },
): Promise<Omit<Outcome, "wish">> {
  const control = store.tables(dataCenter)?.control;
  if (control === undefined) throw new Error("no replica of the store is known yet");
  const { campus, service, who } = action;
  try {
    if (action.act === "unblock") {
      await control.unblock({ campus, service }, who);
      return { outcome: "Unblocked", message: "the block was ended" };
    }
    const forMs = action.untilMs - Date.now();
    const facts = { forMs, why: action.reason, who, forced: false };
    const { untilMs } = await control.block({ campus, service }, facts);
    return { outcome: "Blocked", message: `blocked until ${new Date(untilMs).toISOString()}` };
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== "FAILED_PRECONDITION") throw error;
    const others = (await control.blocks()).some(({ what }) => what.split("/")[0] !== campus);
    const outcome = others && action.act === "block" ? "OtherCampusBlocked" : "Refused";
    return { outcome, message: error.message };
  }
}

async function evenSlots(
  { store }: Executor,
  dataCenter: string,
  { shares, why }: Action & { act: "even-slots" },
): Promise<void> {
  const tables = store.tables(dataCenter);
  if (tables === undefined) throw new Error("no replica of the store is known yet");
  await tables.evenSlots(shares, why);
}
