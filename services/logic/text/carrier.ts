/**
 * What follows the commit point (M1): carrying a committed message to its recipients. Every step is
 * safe to repeat, so whoever finds a committed message may carry it again: the sender's own call, its
 * retry, the background, or a sync.
 *
 *   1:1     number it in the conversation, then put it into the recipient's inbox above its mark
 *   group   append it to the group's queue stream; fan-out does the rest
 *
 * An integrator's hooks are told last (hook-streams.ts), so of what was delivered.
 */

import type { InboxMessage } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  GroupEntryKind,
  makeGroupEntry,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import {
  type CommittedMessage,
  Consistency,
  type DeliveryOutcome,
  DeliveryOutcomeKind,
  InboxData,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { MessageData } from "../../../protos/gen/tricampus/data/v1/message_codec.ts";
import { numbered } from "../../data/message/client.ts";
import { type CallOptions, monotonicMs } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { type Code, codes, moreTelling, RpcError } from "../../svrkit/errors.ts";
import { RecentlyUsed } from "../../svrkit/recently-used.ts";
import { rest } from "../../svrkit/rest.ts";
import { sampledOrNone } from "../../svrkit/tracing/context.ts";
import type { GroupStreams } from "../group-streams.ts";
import type { HookStreams } from "../hook-streams.ts";
import type { Notifier, NotifyTarget } from "../notify/notifier.ts";
import { deliverableAfter } from "./deliverable.ts";

const PAGE_MESSAGES_MAX = 100;
const PAUSE_FIRST_MS = 5;
const PAUSE_LAST_MS = 100;
const NO_ROOM_MS = 1_000;
/** What the sender may hear of an inbox: the message is committed, so nothing that says it was refused. */
const IS_TOLD: ReadonlySet<Code> = new Set(["STORAGE_REFUSED", "NO_QUORUM"]);

export interface CarrierParts {
  readonly inboxes: Callee;
  readonly messages: Callee;
  readonly streams: Pick<GroupStreams, "append">;
  readonly notifier: Pick<Notifier, "notify">;
  readonly hooks: Pick<HookStreams, "append">;
  readonly marksRememberedMax: number;
}

/** Options of a call that carries the sender's ticket and ends. */
export interface CarryOptions extends CallOptions {
  readonly ticket: Uint8Array;
  readonly deadlineMs: number;
}

interface Carried {
  readonly sequence: number;
  /** Inboxes that got something newer, for notify. */
  readonly targets: readonly NotifyTarget[];
}

export class Carrier {
  readonly #parts: CarrierParts;
  /** By recipient and conversation: where the mark stood when last seen. It only rises. */
  readonly #marks: RecentlyUsed<string, number>;
  /** By group: the newest slot of its stream that was written from here. */
  readonly #slots: RecentlyUsed<string, number>;
  /** By group whose stream had no room: until when it is not asked again for what can wait. */
  readonly #fullUntilMs: RecentlyUsed<string, number>;

  constructor(parts: CarrierParts) {
    this.#parts = parts;
    this.#marks = new RecentlyUsed(parts.marksRememberedMax);
    this.#slots = new RecentlyUsed(parts.marksRememberedMax);
    this.#fullUntilMs = new RecentlyUsed(parts.marksRememberedMax);
  }

  /**
   * Resolves to the sequence number, 0 for a group message. `sender`: what the commit made of the
   * sender's own inbox, for the sender's devices.
   */
  async carry(
    message: CommittedMessage,
    sender: NotifyTarget | undefined,
    options: CarryOptions,
  ): Promise<number> {
    if (message.recipientId === "") {
      await this.#queue(message, options);
      // Devices show a group's message when it is numbered; this one only moves their version on.
      if (sender !== undefined) this.#parts.notifier.notify("nothing", [sender], options.trace);
      return 0;
    }
    const { sequence } = await this.#parts.messages.call(MessageData.append, { message }, options);
    const delivered = await this.#deliver(message, sequence, options);
    const targets = sender === undefined ? delivered.targets : [...delivered.targets, sender];
    const messages = [numbered(message, sequence)];
    this.#parts.notifier.notify({ messages }, targets, options.trace);
    await this.#parts.hooks.append(messages, message.recipientId, options);
    return sequence;
  }

  /**
   * The number of a message whose recipient's account was deleted: its sender still has it, and nothing of it
   * is written anywhere again. One that had none yet leaves its place.
   */
  async number(message: CommittedMessage, options: CarryOptions): Promise<number> {
    const place = {
      ...message,
      text: "",
      content: undefined,
      recalled: true,
      takesBack: undefined,
    };
    const request = { message: place };
    return (await this.#parts.messages.call(MessageData.append, request, options)).sequence;
  }

  /** Whether a group's stream took nothing a moment ago: what is not committed yet can wait for it. */
  hasNoRoom(groupId: string): boolean {
    return (this.#fullUntilMs.get(groupId) ?? 0) > monotonicMs();
  }

  /** As far as a group's stream was written from here; 0: not lately. */
  lastSlot(groupId: string): number {
    return this.#slots.get(groupId) ?? 0;
  }

  async #queue(message: CommittedMessage, options: CallOptions): Promise<void> {
    const { messageId: id, senderId: userId, takesBack: recalled } = message;
    const { clientMessageId, text, acceptedAtMs, committedAtMs, content } = message;
    const kind = recalled === undefined ? GroupEntryKind.MESSAGE : GroupEntryKind.RECALL;
    const facts = { clientMessageId, text, acceptedAtMs, committedAtMs, content, recalled };
    const entry = makeGroupEntry({
      kind,
      id,
      userId,
      ...facts,
      trace: sampledOrNone(options.trace),
    });
    const groupId = message.conversationId;
    const slot = await this.#parts.streams
      .append(groupId, entry, options)
      .catch((error: unknown) => {
        const isFull = RpcError.from(error).code === "RESOURCE_EXHAUSTED";
        if (isFull) this.#fullUntilMs.set(groupId, monotonicMs() + NO_ROOM_MS);
        throw error;
      });
    this.#slots.set(groupId, Math.max(slot, this.#slots.get(groupId) ?? 0));
  }

  /** Until the recipient's mark stands at `sequence` or above. */
  async #deliver(
    message: CommittedMessage,
    sequence: number,
    options: CarryOptions,
  ): Promise<Carried> {
    const { conversationId, recipientId, senderId } = message;
    if (recipientId === senderId) return { sequence, targets: [] };
    const markName = `${recipientId} ${conversationId}`;
    const own = numbered(message, sequence);
    let mark = this.#marks.get(markName) ?? sequence - 1;
    let version = 0;
    let alone = false;
    let failure: RpcError | undefined;
    for (let failures = 0; mark < sequence; ) {
      const part = await this.#deliverable(own, { mark, recipientId }, options);
      const outcome = await this.#deliverOnce(part, { mark, conversationId, recipientId }, options);
      switch (outcome.kind) {
        case DeliveryOutcomeKind.DELIVERED:
          mark = part.through;
          version = outcome.version;
          alone = outcome.alone && part.messages.length === 1 && part.messages[0] === own;
          break;
        case DeliveryOutcomeKind.MARK_ELSEWHERE:
          mark = outcome.mark;
          version = outcome.version;
          break;
        default:
          failure = moreTelling(failure, failureOf(outcome));
          await pauseOrGiveUp(failures++, failure, options.deadlineMs);
      }
    }
    this.#marks.set(markName, mark);
    const targets = version === 0 ? [] : [{ userId: recipientId, version, alone }];
    return { sequence, targets };
  }

  /** What the recipient lacks up to `own`, or a first part of it. */
  async #deliverable(
    own: InboxMessage,
    { mark, recipientId }: { mark: number; recipientId: string },
    options: CallOptions,
  ): Promise<{ messages: InboxMessage[]; through: number }> {
    if (mark === own.sequence - 1) return { messages: [own], through: own.sequence };
    // Numbered messages never change, so a stale replica's answer is as good where it has one.
    for (const consistency of [Consistency.ANY, Consistency.STRONG]) {
      const { conversationId } = own;
      const limit = Math.min(PAGE_MESSAGES_MAX, own.sequence - 1 - mark);
      const page = await this.#parts.messages.call(
        MessageData.read,
        { conversationId, afterSequence: mark, limit, consistency, beforeSequence: 0 },
        options,
      );
      const forgotten = page.forgotten && consistency === Consistency.STRONG;
      const { messages } = page;
      const part = deliverableAfter({ messages, forgotten }, { mark, own, recipientId });
      if (part !== undefined) return part;
    }
    throw new RpcError("INTERNAL", `${own.conversationId} lacks a message below ${own.sequence}`);
  }

  async #deliverOnce(
    part: { messages: InboxMessage[]; through: number },
    to: { mark: number; conversationId: string; recipientId: string },
    options: CallOptions,
  ): Promise<DeliveryOutcome> {
    const { mark, conversationId, recipientId } = to;
    const target = {
      ...{ userId: recipientId, fromSequence: mark, throughSequence: part.through },
      allowSkip: false,
    };
    const deliveries = [{ conversationId, messages: part.messages, targets: [target] }];
    const reply = await this.#parts.inboxes.call(InboxData.deliver, { deliveries }, options);
    return reply.outcomes[0]!;
  }
}

function failureOf({ code, message }: DeliveryOutcome): RpcError {
  return RpcError.fromWire(code === 0 ? codes.UNAVAILABLE.number : code, message);
}

async function pauseOrGiveUp(
  failures: number,
  failure: RpcError,
  deadlineMs: number,
): Promise<void> {
  const pauseMs = Math.min(PAUSE_LAST_MS, PAUSE_FIRST_MS * 2 ** failures);
  if (monotonicMs() + pauseMs >= deadlineMs) {
    const message = `the recipient's inbox could not be reached in time (${failure.message})`;
    throw new RpcError(IS_TOLD.has(failure.code) ? failure.code : "UNAVAILABLE", message);
  }
  await rest(pauseMs);
}
