/**
 * The user's own messages in a sync: finding the numbers of 1:1 messages, and looking after what
 * stopped on its way (plan/orphans.ts says which).
 *
 * Only messages without a number are waited for, since the page ends before them. Everything else is
 * checked in the background, once: what was found to have arrived is remembered.
 */
import { GroupData } from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import {
  type CommittedMessage,
  Consistency,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { MessageData } from "../../../protos/gen/tricampus/data/v1/message_codec.ts";
import { Finishing } from "../../../protos/gen/tricampus/logic/v1/finish_codec.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import type { Logger } from "../../svrkit/log.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { RecentlyUsed } from "../../svrkit/recently-used.ts";
import { inTrace } from "../../svrkit/tracing/context.ts";
import { findOrphans } from "./plan/orphans.ts";

const ARRIVED_REMEMBERED_MAX = 50_000;
const FINISHES_WAITED_FOR_MAX = 20;
const BACKGROUND_TIMEOUT_MS = 5_000;

const finishes = monitorId("sync.finishes");
const dropped = monitorId("sync.finishes_dropped");

export interface OwnMessagesParts {
  readonly messages: Callee;
  readonly groups: Callee;
  readonly text: Callee;
  readonly log: Logger;
  readonly finishesInFlightMax: number;
}

type Sequences = Map<string, number>;

export class OwnMessages {
  readonly #parts: OwnMessagesParts;
  readonly #arrived = new RecentlyUsed<string, true>(ARRIVED_REMEMBERED_MAX);
  #inFlight = 0;

  constructor(parts: OwnMessagesParts) {
    this.#parts = parts;
  }

  /** Numbers of the 1:1 messages among them, by message id; 0 or absent: none yet. */
  async numbers(
    own: readonly CommittedMessage[],
    options: CallOptions & { nowMs: number },
  ): Promise<Sequences> {
    const sequences: Sequences = new Map();
    const direct = own.filter((message) => message.recipientId !== "");
    await this.#look(direct, sequences, { ...options, consistency: Consistency.ANY });
    const missing = direct.filter((message) => !sequences.get(message.messageId));
    await this.#look(missing, sequences, { ...options, consistency: Consistency.STRONG });
    await this.#lookAfter(own, sequences, options);
    return sequences;
  }

  async #look(
    messages: readonly CommittedMessage[],
    sequences: Sequences,
    { consistency, ...options }: CallOptions & { consistency: Consistency },
  ): Promise<void> {
    const byConversation = Map.groupBy(messages, (message) => message.conversationId);
    const calls = [...byConversation].map(async ([conversationId, found]) => {
      const messageIds = found.map((message) => message.messageId);
      const request = { conversationId, messageIds, consistency };
      const reply = await this.#parts.messages.call(MessageData.sequences, request, options);
      messageIds.forEach((id, i) => {
        sequences.set(id, reply.sequences[i] ?? 0);
      });
    });
    await Promise.all(calls);
  }

  async #lookAfter(
    own: readonly CommittedMessage[],
    sequences: Sequences,
    options: CallOptions & { nowMs: number },
  ): Promise<void> {
    const orphans = findOrphans(own, { nowMs: options.nowMs, sequences });
    // The ticket is a view into a frame, which background work may outlive.
    const background = {
      ticket: Buffer.from(options.ticket ?? []),
      timeoutMs: BACKGROUND_TIMEOUT_MS,
    };
    this.#inBackground(orphans.newest, (unseen) => this.#finishAll(unseen, background));
    for (const [groupId, messages] of orphans.byGroup) {
      this.#inBackground(messages, (unseen) => this.#finishInGroup(groupId, unseen, background));
    }
    const waitedFor = orphans.unnumbered.slice(0, FINISHES_WAITED_FOR_MAX);
    await Promise.all(
      waitedFor.map(async (message) => {
        const sequence = await this.#finish(message, options).catch((error: unknown) => {
          const { messageId } = message;
          this.#parts.log.warn(
            { err: error, messageId, ...inTrace(options.trace) },
            "not finished yet",
          );
          return 0;
        });
        sequences.set(message.messageId, sequence);
      }),
    );
  }

  /** Runs `work` on the messages that were not found to have arrived before; never waits for it. */
  #inBackground(
    messages: readonly CommittedMessage[],
    work: (unseen: readonly CommittedMessage[]) => Promise<void>,
  ): void {
    const unseen = messages.filter((message) => !this.#arrived.get(message.messageId));
    if (unseen.length === 0) return;
    if (this.#inFlight >= this.#parts.finishesInFlightMax) {
      monitor.add(dropped, 1);
      return;
    }
    this.#inFlight += 1;
    work(unseen)
      .catch((error: unknown) => {
        this.#parts.log.debug({ err: error }, "own messages could not be looked after");
      })
      .finally(() => {
        this.#inFlight -= 1;
      });
  }

  async #finishInGroup(
    groupId: string,
    messages: readonly CommittedMessage[],
    options: CallOptions,
  ): Promise<void> {
    const entryIds = messages.map((message) => message.messageId);
    const { outcomes } = await this.#parts.groups.call(
      GroupData.entryOutcomes,
      { groupId, entryIds },
      options,
    );
    const left = messages.filter((message, i) => {
      if (outcomes[i]?.done === true) this.#arrived.set(message.messageId, true);
      return outcomes[i]?.done !== true;
    });
    await this.#finishAll(left, options);
  }

  async #finishAll(messages: readonly CommittedMessage[], options: CallOptions): Promise<void> {
    for (const message of messages) await this.#finish(message, options);
  }

  async #finish(message: CommittedMessage, options: CallOptions): Promise<number> {
    const { clientMessageId, messageId } = message;
    monitor.add(finishes, 1);
    const reply = await this.#parts.text.call(Finishing.finish, { clientMessageId }, options);
    this.#arrived.set(messageId, true);
    return reply.sequence;
  }
}
