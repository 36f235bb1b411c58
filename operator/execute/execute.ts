/**
 * Carries a plan out, action after action, and decides nothing. Every action can be repeated, and each
 * asks first whether this operator may still act.
 */
import { inMoves, planRebalance } from "../../services/control/slots-client.ts";
import { RpcError } from "../../services/svrkit/errors.ts";
import { KEYSPACES } from "../api/kv-group.ts";
import { type ApiClient, ApiError } from "../kube/api-client.ts";
import { type KindName, pathOf } from "../kube/api-paths.ts";
import type { KubeObject } from "../kube/object.ts";
import { keyspaceNumber } from "../observe/keyspaces.ts";
import { FIELD_MANAGER } from "../observe/projection.ts";
import type { StoreLink } from "../observe/store-link.ts";
import type { Action } from "../plan/actions.ts";
import type { Outcome } from "../plan/observed.ts";
import { issueCertificates } from "./certificates.ts";
import { makeCredentials } from "./credentials.ts";

export interface Executor {
  readonly client: ApiClient;
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

/** What the control table answered to blocks, by name of the Campus object. */
export async function execute(
  executor: Executor,
  dataCenter: string,
  actions: readonly Action[],
): Promise<Map<string, Outcome>> {
  const outcomes = new Map<string, Outcome>();
  for (const action of actions) {
    if (executor.leftMs() <= 0) throw new NotLeading();
    await carryOut(executor, dataCenter, { action, outcomes });
    executor.done(dataCenter, action);
  }
  return outcomes;
}

async function carryOut(
  executor: Executor,
  dataCenter: string,
  { action, outcomes }: { action: Action; outcomes: Map<string, Outcome> },
): Promise<void> {
  switch (action.act) {
    case "apply":
      return applyObject(executor, action.build());
    case "delete":
      return deleteObject(executor, action);
    case "issue-certificates":
      return issueCertificates(executor, dataCenter, action.wanted);
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
  object: KubeObject,
  subresource = "",
): Promise<void> {
  const path = pathOf(object.kind as KindName, namespace, object.metadata.name);
  await client.carryOut({
    method: "PATCH",
    path: `${path}${subresource}?fieldManager=${FIELD_MANAGER}&force=true`,
    contentType: "application/apply-patch+yaml",
    body: object,
    timeoutMs: REQUEST_MS,
  });
}

async function deleteObject(
  { client, namespace }: Executor,
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
    if (error instanceof ApiError && (error.isNotFound || error.isConflict)) return;
    throw error;
  }
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

/** Keys are not counted here: moves are cut by slots. */
const SLOTS_PER_MOVE = 256;

async function evenSlots(
  { store }: Executor,
  dataCenter: string,
  { shares, why }: Action & { act: "even-slots" },
): Promise<void> {
  const slots = store.tables(dataCenter)?.slots;
  if (slots === undefined) throw new Error("no replica of the store is known yet");
  const now = await slots.read();
  if (now.move !== undefined || now.waiting.length > 0) return;
  const transfers = KEYSPACES.flatMap((keyspace) => {
    const groups = shares[keyspace];
    return groups === undefined ? [] : planRebalance(now, [keyspaceNumber(keyspace)], groups);
  });
  const moves = inMoves(transfers, () => 1, SLOTS_PER_MOVE);
  if (moves.length > 0) await slots.move(moves, "rebalance", { who: "tricampus-operator", why });
}
