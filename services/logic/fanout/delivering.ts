/**
 * Carrying out a delivery: again and again until every member has every message. A stream never
 * skips anybody, so an inbox that cannot be reached holds its group up, and only its group.
 */

import type { InboxMessage } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  GroupData,
  makeGroupMessagesRequest,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import {
  type DeliveryOutcome,
  DeliveryOutcomeKind,
  type DeliveryTarget,
  InboxData,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import type { Callee } from "../../svrkit/client.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import { codes, RpcError } from "../../svrkit/errors.ts";
import type { Logger } from "../../svrkit/log.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { rest } from "../../svrkit/rest.ts";
import { inTrace } from "../../svrkit/tracing/context.ts";
import type { Notifier } from "../notify/notifier.ts";
import { withoutLargeBody } from "./plan/body.ts";
import { type Arrival, nextTargets } from "./plan/delivery.ts";

const TIMEOUT_MS = 15_000;
const PAUSE_FIRST_MS = 20;
const PAUSE_LAST_MS = 1_000;
const PAGE_MESSAGES_MAX = 100;

const rows = monitorId("fanout.rows_delivered");
const retries = monitorId("fanout.delivery_retries");

export interface DeliveringParts {
  readonly inboxes: Callee;
  readonly groups: Callee;
  readonly notifier: Pick<Notifier, "notify">;
  readonly log: Logger;
  /** Larger bodies lie in the group's table alone. */
  readonly apartAboveBytes: number;
  /** Ends all waiting. */
  readonly stopped: AbortSignal;
}

export class Delivering {
  readonly #parts: DeliveringParts;

  constructor(parts: DeliveringParts) {
    this.#parts = parts;
  }

  /** Resolves when all targets have the messages; rejects only when the service stops. */
  async deliver(
    groupId: string,
    numbered: readonly InboxMessage[],
    targets: readonly DeliveryTarget[],
    trace = NO_BYTES,
  ): Promise<void> {
    const { apartAboveBytes } = this.#parts;
    const messages = numbered.map((message) => withoutLargeBody(message, apartAboveBytes));
    let left = targets;
    for (let failures = 0; left.length > 0; ) {
      const outcomes = await this.#deliverOnce({ groupId, messages, trace }, left);
      const { arrived, again, behind, failed } = nextTargets(left, outcomes);
      this.#tell(messages, arrived, trace);
      const caughtUp = await this.#catchUp(groupId, behind, trace);
      left = [...again, ...caughtUp, ...failed];
      if (failed.length === 0) continue;
      monitor.add(retries, failed.length);
      if (failures === 0) this.#warn({ groupId, targets: failed.length, trace }, outcomes);
      await this.#pause(Math.min(PAUSE_LAST_MS, PAUSE_FIRST_MS * 2 ** failures++));
    }
  }

  async #deliverOnce(
    { groupId, messages, trace }: { groupId: string; messages: InboxMessage[]; trace: Uint8Array },
    targets: readonly DeliveryTarget[],
  ): Promise<readonly DeliveryOutcome[]> {
    this.#parts.stopped.throwIfAborted();
    const delivery = { conversationId: groupId, messages, targets: [...targets] };
    try {
      const request = { deliveries: [delivery] };
      const options = { timeoutMs: TIMEOUT_MS, trace };
      return (await this.#parts.inboxes.call(InboxData.deliver, request, options)).outcomes;
    } catch (error) {
      const { code, message } = RpcError.from(error);
      const failed = { kind: DeliveryOutcomeKind.FAILED, version: 0, alone: false, mark: 0 };
      return targets.map(() => ({ ...failed, message, code: codes[code].number }));
    }
  }

  /**
   * Targets whose marks stand below this delivery although all before it was delivered: not foreseen,
   * but what an inbox says of itself is believed. They get what they lack out of the group's table;
   * resolves to the same targets with what is left to deliver.
   */
  async #catchUp(
    groupId: string,
    behind: readonly DeliveryTarget[],
    trace: Uint8Array,
  ): Promise<DeliveryTarget[]> {
    const left: DeliveryTarget[] = [];
    for (const target of behind) {
      const { userId, fromSequence: afterSequence } = target;
      this.#parts.log.error(
        { groupId, userId, afterSequence, ...inTrace(trace) },
        "an inbox lacks older messages",
      );
      const facts = { groupId, afterSequence, limit: PAGE_MESSAGES_MAX };
      const request = makeGroupMessagesRequest(facts);
      const options = { timeoutMs: TIMEOUT_MS };
      const page = await this.#parts.groups
        .call(GroupData.messages, request, options)
        .catch(() => ({ messages: [] }));
      const last = page.messages.at(-1)?.sequence ?? afterSequence;
      const throughSequence = Math.min(last, target.throughSequence);
      if (throughSequence > afterSequence) {
        await this.deliver(groupId, page.messages, [{ ...target, throughSequence }]);
      } else {
        await this.#pause(PAUSE_LAST_MS);
      }
      if (throughSequence < target.throughSequence) {
        left.push({ ...target, fromSequence: throughSequence });
      }
    }
    return left;
  }

  #tell(messages: InboxMessage[], arrived: readonly Arrival[], trace: Uint8Array): void {
    const [first] = messages;
    const last = messages.at(-1);
    const targets = arrived.map(({ userId, version, alone, fromSequence, throughSequence }) => {
      monitor.add(rows, throughSequence - fromSequence);
      // A target that got a part of the messages cannot be sent all of them.
      const isWhole = fromSequence < first!.sequence && throughSequence >= last!.sequence;
      return { userId, version, alone: alone && isWhole };
    });
    this.#parts.notifier.notify({ messages }, targets, trace);
  }

  #warn(
    { groupId, targets, trace }: { groupId: string; targets: number; trace: Uint8Array },
    outcomes: readonly DeliveryOutcome[],
  ): void {
    const reason = outcomes.find((o) => o.kind === DeliveryOutcomeKind.FAILED)?.message;
    this.#parts.log.warn(
      { groupId, targets, reason, ...inTrace(trace) },
      "inboxes not reached; trying again",
    );
  }

  async #pause(ms: number): Promise<void> {
    this.#parts.stopped.throwIfAborted();
    await rest(ms);
  }
}
