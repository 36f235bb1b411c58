/**
 * Delivery (M2, M4): the same rows into many inboxes, each above its own mark.
 *
 * The rows are encoded once and targets that ask for the same range share one change object, so what
 * an additional inbox costs is the copy into its frame. Inboxes are independent of one another: each
 * has an outcome of its own, and one that cannot be reached keeps no other from its rows.
 */
import {
  type Delivery,
  type DeliveryOutcome,
  DeliveryOutcomeKind,
  type DeliveryTarget,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import type { ChangeReply, ChangeRequest } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type CallOptions, monotonicMs } from "../../svrkit/call.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import { codes, RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { Gate } from "./gate.ts";
import {
  concernsMembership,
  type DeliveryChange,
  deliveryChange,
  encodeRows,
  inboxKey,
} from "./rows.ts";

/** What a change weighs at the store besides its rows. */
const CHANGE_BYTES = 256;

interface SizedChange {
  readonly request: ChangeRequest;
  readonly bytes: number;
}

/** One change a target, in the order of deliveries and targets. */
export function planChanges(deliveries: readonly Delivery[]): SizedChange[] {
  const changes: SizedChange[] = [];
  for (const delivery of deliveries) {
    const encoded = encodeRows(delivery.conversationId, delivery.messages);
    const shared = new Map<string, DeliveryChange>();
    for (const target of delivery.targets) {
      checkTarget(target);
      const range = `${target.fromSequence} ${target.throughSequence} ${target.allowSkip}`;
      const isOwn = concernsMembership(encoded, target.userId);
      let planned = isOwn ? undefined : shared.get(range);
      if (planned === undefined) {
        planned = deliveryChange(encoded, target);
        if (!isOwn) shared.set(range, planned);
      }
      const { change, bytes } = planned;
      changes.push({ request: { key: inboxKey(target.userId), change }, bytes });
    }
  }
  return changes;
}

function checkTarget(target: DeliveryTarget): void {
  const { userId, fromSequence, throughSequence } = target;
  requireArgument(userId !== "", "a delivery names no user");
  requireArgument(fromSequence < throughSequence, "a delivery raises the mark by nothing");
}

export function deliver(
  kv: KvClient,
  deliveries: readonly Delivery[],
  gate: Gate | undefined,
  call: CallOptions,
): Promise<DeliveryOutcome[]> {
  // Guarded by their marks, so they need no operation ids.
  const unnamed = { ...call, operationId: NO_BYTES };
  return Promise.all(
    planChanges(deliveries).map(({ request, bytes }) => {
      const change = () =>
        kv.change(request, unnamed).then(outcomeOf, (error: unknown) => {
          return outcomeOf(RpcError.from(error));
        });
      if (gate === undefined) return change();
      // One that waited for too long must not go: it would take its short time for that of a whole batch.
      const unlessLate = () => (isOver(call) ? Promise.resolve(outcomeOf(tooLate())) : change());
      return gate.run(bytes + CHANGE_BYTES, unlessLate, isDone);
    }),
  );
}

function isOver({ deadlineMs }: CallOptions): boolean {
  return deadlineMs !== undefined && monotonicMs() >= deadlineMs;
}

function tooLate(): RpcError {
  return new RpcError(
    "DEADLINE_EXCEEDED",
    "the delivery waited for its turn at the store until its time was over: nothing was written, deliver it again",
  );
}

function isDone({ kind }: DeliveryOutcome): boolean {
  return kind !== DeliveryOutcomeKind.FAILED;
}

export function outcomeOf(result: ChangeReply | RpcError): DeliveryOutcome {
  const nothing = { version: 0, alone: false, mark: 0, message: "", code: 0 };
  if (result instanceof RpcError) {
    const { message } = result;
    const code = codes[result.code].number;
    return { ...nothing, kind: DeliveryOutcomeKind.FAILED, message, code };
  }
  const { version, alone, applied, failedGuard } = result;
  if (applied) return { ...nothing, kind: DeliveryOutcomeKind.DELIVERED, version, alone };
  const mark = failedGuard?.actual ?? 0;
  return { ...nothing, kind: DeliveryOutcomeKind.MARK_ELSEWHERE, version, mark };
}
