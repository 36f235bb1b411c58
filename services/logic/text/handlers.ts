/** Text: taking messages. See carrier.ts for what follows the commit point. */
import type {
  BodiesReply,
  BodiesRequest,
  RecallRequest,
  SendReply,
  SendRequest,
} from "../../../protos/gen/tricampus/client/v1/text_codec.ts";
import { AccountData } from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import {
  GroupData,
  type MembershipReply,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import {
  type CommitReply,
  type CommittedMessage,
  Consistency,
  InboxData,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import type {
  FinishReply,
  FinishRequest,
  OpenSend,
} from "../../../protos/gen/tricampus/logic/v1/finish_codec.ts";
import {
  MayReplyRefusal,
  MayRequestWhat,
  Reaching,
} from "../../../protos/gen/tricampus/logic/v1/reach_codec.ts";
import { conversationOf } from "../../data/message/client.ts";
import { isInLastBucket } from "../../svrkit/admission/priority.ts";
import { accepted, type Call, forward, monotonicMs } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { IdMaker } from "../../svrkit/ids.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { hasBug } from "../../svrkit/planted.ts";
import { RecentlyUsed } from "../../svrkit/recently-used.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireService } from "../arguments.ts";
import type { NotifyTarget } from "../notify/notifier.ts";
import { errorOfRefusal } from "../refusals.ts";
import {
  acceptedAt,
  checkSend,
  type Recipient,
  refusalInGroup,
  requireSameMessage,
} from "./accept.ts";
import type { BeforeSend } from "./before-send.ts";
import { readBodies } from "./bodies.ts";
import type { Carrier, CarryOptions } from "./carrier.ts";
import type { OpenSends } from "./open-sends.ts";
import { Pace } from "./plan/pace.ts";
import { checkRecall, type Recalls, type Taken } from "./recalls.ts";
import { isFinal, Unfinished } from "./unfinished.ts";

const refusedSends = monitorId("text.sends_refused");

const NAMES_REMEMBERED_MAX = 10_000;
const CARRIED_REMEMBERED_MAX = 20_000;
const BACKGROUND_TIMEOUT_MS = 5_000;
const BACKGROUND_PAUSE_FIRST_MS = 1_000;

interface FailedSend {
  /** The message id. */
  readonly id: string;
  readonly message: CommittedMessage;
  readonly ticket: Uint8Array;
}

export interface TextParts {
  readonly tickets: TicketVerifier;
  readonly ids: IdMaker;
  readonly accounts: Callee;
  readonly groups: Callee;
  /** The service contact, which knows who may reach whom. */
  readonly contacts: Callee;
  readonly inboxes: Callee;
  readonly carrier: Pick<Carrier, "carry" | "number" | "lastSlot" | "hasNoRoom">;
  readonly recalls: Pick<Recalls, "messageFor">;
  readonly openSends: Pick<OpenSends, "open" | "close" | "stop">;
  readonly unfinishedMax: number;
  readonly groupBacklogMax: number;
  /** An integrator's server that has a say. */
  readonly beforeSend: Pick<BeforeSend, "refusal"> | undefined;
}

export class TextHandlers {
  readonly #parts: TextParts;
  readonly #unfinished: Unfinished<FailedSend>;
  readonly #pace = new Pace();
  /** The name of a deleted account may be claimed again: what was found stays true until its user is gone. */
  readonly #userIds = new RecentlyUsed<string, string>(NAMES_REMEMBERED_MAX);
  /** By sender and client message id: the sequence number of what reached its recipients. */
  readonly #carried = new RecentlyUsed<string, number>(CARRIED_REMEMBERED_MAX);

  constructor(parts: TextParts) {
    this.#parts = parts;
    this.#unfinished = new Unfinished({
      sizeMax: parts.unfinishedMax,
      pauseFirstMs: BACKGROUND_PAUSE_FIRST_MS,
      now: monotonicMs,
      finish: (send) => this.#finishInBackground(send),
    });
  }

  async stop(): Promise<void> {
    await this.#unfinished.stop();
    this.#parts.openSends.stop();
  }

  async send(request: SendRequest, call: Call): Promise<SendReply> {
    const { userId: senderId, device } = this.#parts.tickets.userOf(call);
    const to = checkSend(request, call.caller);
    const nowMs = Date.now();
    const acceptedAtMs = acceptedAt(request, device, nowMs);
    const times = { acceptedAtMs, committedAtMs: acceptedAtMs === nowMs ? 0 : nowMs };
    const beganMs = monotonicMs();
    const isLast = isInLastBucket(call.priority);
    if (!this.#pace.take(beganMs, isLast)) throw tooManySends();
    let elsewhereMs = 0;
    try {
      const taken = await this.#messageOf(request, to, { senderId, call });
      const askedMs = monotonicMs();
      // An integrator's server that is slow says nothing of the pace at which the platform takes sends.
      this.#pace.leave();
      await this.#requireAllowed(taken, call).finally(() => {
        this.#pace.back();
        elsewhereMs = monotonicMs() - askedMs;
      });
      const taking = this.#take(taken, call, times);
      return hasBug("acknowledged-unwritten") ? unwritten(taking, taken) : await taking;
    } finally {
      this.#pace.ended(monotonicMs() - beganMs - elsewhereMs, isLast);
    }
  }

  async recall(request: RecallRequest, call: Call): Promise<SendReply> {
    const { userId } = this.#parts.tickets.userOf(call);
    checkRecall(request);
    const { clientMessageId } = request;
    const before = await this.#parts.inboxes.call(
      InboxData.committed,
      { clientMessageId },
      forward(call),
    );
    if (before.message !== undefined) return this.#recalledBefore(request, before.message, call);
    const options = { ...forward(call), nowMs: Date.now() };
    return this.#take(await this.#parts.recalls.messageFor(request, userId, options), call);
  }

  async #recalledBefore(
    { clientMessageId, messageId }: RecallRequest,
    message: CommittedMessage,
    call: Call,
  ): Promise<SendReply> {
    requireArgument(
      message.takesBack?.messageId === messageId,
      `client message id "${clientMessageId}" was used for another message: take a new one`,
    );
    const sequence = await this.#carryAgain(message, undefined, forwardedWithTicket(call));
    return { messageId: message.messageId, conversationId: message.conversationId, sequence };
  }

  async bodies(request: BodiesRequest, call: Call): Promise<BodiesReply> {
    this.#parts.tickets.userOf(call);
    return { messages: await readBodies(this.#parts.groups, request, forward(call)) };
  }

  #take(
    taken: Taken,
    call: Call,
    times = { acceptedAtMs: Date.now(), committedAtMs: 0 },
  ): Promise<SendReply> {
    const messageId = this.#parts.ids.next();
    call.span?.set("message", messageId);
    const sent = { ...taken, messageId, ...times };
    return this.#witnessed(sent, call);
  }

  /** Another campus knows of the send before it is committed, and until it can end in nothing more. */
  async #witnessed(sent: CommittedMessage, call: Call): Promise<SendReply> {
    const { messageId: id, clientMessageId } = sent;
    const openedAtMs = Date.now();
    const { openSends } = this.#parts;
    openSends.open({ id, clientMessageId, ticket: call.ticket, openedAtMs });
    let committed: CommitReply | undefined;
    try {
      committed = await this.#commit(sent, call);
      const reply = await this.#carryCommitted(committed, sent, call);
      openSends.close(id);
      return reply;
    } catch (error) {
      const isNothingDone = committed === undefined && RpcError.from(error).code === "OVERLOADED";
      if (isFinal(error) || isNothingDone) openSends.close(id);
      throw error;
    }
  }

  async #carryCommitted(
    committed: CommitReply,
    sent: CommittedMessage,
    call: Call,
  ): Promise<SendReply> {
    const message = committed.message!;
    requireSameMessage(message, sent);
    // A retry finds the message under the id that it got first.
    call.span?.set("message", message.messageId);
    const { version, alone, existed } = committed;
    const sender = { userId: sent.senderId, version, alone };
    const options = forwardedWithTicket(call);
    const sequence = await (existed
      ? this.#carryAgain(message, sender, options)
      : this.#carry(message, sender, options));
    const { messageId, conversationId } = message;
    return { messageId, conversationId, sequence };
  }

  /** For sync, which found a committed message of its user that seems to have stopped on its way. */
  async finish({ clientMessageId }: FinishRequest, call: Call): Promise<FinishReply> {
    requireService(call, ["sync"], "finishing messages");
    const sequence = await this.#finishCommitted(clientMessageId, forwardedWithTicket(call));
    return { sequence };
  }

  /** For the witness, whose process died or lost sight of the send. */
  async finishWitnessed({ clientMessageId, ticket }: OpenSend): Promise<void> {
    const deadlineMs = monotonicMs() + BACKGROUND_TIMEOUT_MS;
    await this.#finishCommitted(clientMessageId, { ticket, deadlineMs });
  }

  async #finishCommitted(clientMessageId: string, options: CarryOptions): Promise<number> {
    const { userId } = this.#parts.tickets.verify(options.ticket);
    const known = this.#carried.get(nameOf(userId, clientMessageId));
    if (known !== undefined) return known;
    const request = { clientMessageId };
    const found = await this.#parts.inboxes.call(InboxData.committed, request, options);
    if (found.message === undefined) {
      throw new RpcError("NOT_FOUND", `no message was committed as "${clientMessageId}"`);
    }
    return this.#carryAgain(found.message, undefined, options);
  }

  /** By now the recipient's account may have been deleted. */
  async #carryAgain(
    message: CommittedMessage,
    sender: NotifyTarget | undefined,
    options: CarryOptions,
  ): Promise<number> {
    const { recipientId: userId, senderId } = message;
    if (userId === "" || userId === senderId) return this.#carry(message, sender, options);
    const request = { userId, what: MayRequestWhat.MESSAGE };
    const { refusal } = await this.#parts.contacts.call(Reaching.may, request, options);
    if (refusal !== MayReplyRefusal.GONE) return this.#carry(message, sender, options);
    const sequence = await this.#parts.carrier.number(message, options);
    return this.#arrived(message, sequence);
  }

  async #messageOf(
    request: SendRequest,
    to: Recipient,
    { senderId, call }: { senderId: string; call: Call },
  ): Promise<Taken> {
    const { clientMessageId, text, content } = request;
    const isGroup = to.case === "groupId";
    const recipientId = isGroup ? "" : await this.#reached(to, { senderId, clientMessageId, call });
    const conversationId = isGroup ? to.value : conversationOf(senderId, recipientId);
    return {
      ...{ conversationId, clientMessageId, senderId, recipientId, text, content },
      ...{ recalled: false, takesBack: undefined },
    };
  }

  /** Who resends what was taken before gets its first outcome, whatever is said now. */
  async #requireAllowed(taken: Taken, call: Call): Promise<void> {
    // What the platform says itself, like invitations, is nobody else's business.
    if (call.caller === "group") return;
    const refusal = await this.#parts.beforeSend?.refusal(taken);
    if (refusal === undefined) return;
    const request = { clientMessageId: taken.clientMessageId };
    const before = await this.#parts.inboxes.call(InboxData.committed, request, forward(call));
    if (before.message === undefined) throw refusal;
  }

  /** Who it is to, and may be. */
  async #reached(
    to: Recipient,
    facts: { senderId: string; clientMessageId: string; call: Call },
  ): Promise<string> {
    const { senderId, clientMessageId, call } = facts;
    const recipientId = await this.#recipientOf(to, call);
    if (recipientId === senderId) return recipientId;
    try {
      await this.#requireReach(recipientId, clientMessageId, call);
      return recipientId;
    } catch (error) {
      const isGone = RpcError.from(error).code === "NOT_FOUND";
      if (!isGone || to.case !== "userName") throw error;
      this.#userIds.delete(to.value);
      // Somebody else's by now, or nobody's.
      if ((await this.#recipientOf(to, call)) === recipientId) throw error;
      return this.#reached(to, facts);
    }
  }

  /** Who resends what was taken before the other side refused gets its first outcome. */
  async #requireReach(userId: string, clientMessageId: string, call: Call): Promise<void> {
    const { contacts, inboxes } = this.#parts;
    const request = { userId, what: MayRequestWhat.MESSAGE };
    const { refusal } = await contacts.call(Reaching.may, request, forward(call));
    const error = errorOfRefusal(refusal, "messages");
    if (error === undefined) return;
    const before = await inboxes.call(InboxData.committed, { clientMessageId }, forward(call));
    if (before.message === undefined) throw error;
  }

  async #recipientOf(to: Recipient, call: Call): Promise<string> {
    if (to.case !== "userName") return to.value;
    const known = this.#userIds.get(to.value);
    if (known !== undefined) return known;
    const request = { name: to.value };
    const record = await this.#parts.accounts.call(AccountData.getByName, request, forward(call));
    if (record.userId === "") throw new RpcError("NOT_FOUND", `there is no user "${to.value}"`);
    this.#userIds.set(to.value, record.userId);
    return record.userId;
  }

  async #commit(message: CommittedMessage, call: Call): Promise<CommitReply> {
    if (message.recipientId === "") {
      const before = await this.#beforeIfRefused(message, call);
      if (before !== undefined) return before;
    }
    return this.#parts.inboxes.call(InboxData.commit, { message }, forward(call));
  }

  /** Who resends a message that was taken before gets its first outcome. */
  async #beforeIfRefused(message: CommittedMessage, call: Call): Promise<CommitReply | undefined> {
    const refusal = await this.#refusalInGroup(message, call);
    if (refusal === undefined) return undefined;
    const request = { clientMessageId: message.clientMessageId };
    const before = await this.#parts.inboxes.call(InboxData.committed, request, forward(call));
    if (before.message !== undefined) return before;
    throw refusal;
  }

  /**
   * A message to a group is taken from members who may speak. The nearest replica is enough to take it:
   * one that has not heard yet of a removal lets a last message through. A refusal is a quorum's word.
   */
  async #refusalInGroup(message: CommittedMessage, call: Call): Promise<RpcError | undefined> {
    const { senderId: userId, conversationId: groupId } = message;
    const ask = async (consistency: Consistency): Promise<RpcError | undefined> => {
      const question = { groupId, userId, consistency };
      const answer = await this.#parts.groups.call(GroupData.membership, question, forward(call));
      return this.#behind(groupId, answer) ?? refusalInGroup(answer, message, message.acceptedAtMs);
    };
    const refusal = await ask(Consistency.ANY);
    return refusal === undefined ? undefined : ask(Consistency.STRONG);
  }

  /** A group whose fan-out cannot follow takes no more, or its members would wait longer and longer. */
  #behind(groupId: string, { member, numberedSlot }: MembershipReply): RpcError | undefined {
    const { carrier, groupBacklogMax } = this.#parts;
    const waiting = carrier.lastSlot(groupId) - numberedSlot;
    const isFull = carrier.hasNoRoom(groupId);
    if (!member || (waiting < groupBacklogMax && !isFull)) return undefined;
    monitor.add(refusedSends, 1);
    const why = isFull
      ? "the queue takes nothing of this group at the moment"
      : `${waiting} messages of this group are still on their way to its members`;
    return new RpcError("OVERLOADED", `${why}: retry later`);
  }

  async #carry(
    message: CommittedMessage,
    sender: NotifyTarget | undefined,
    options: CarryOptions,
  ): Promise<number> {
    try {
      const sequence = await this.#parts.carrier.carry(message, sender, options);
      return this.#arrived(message, sequence);
    } catch (error) {
      if (isFinal(error)) throw error;
      // A view into a frame otherwise, which must not be kept.
      const ticket = Buffer.from(options.ticket);
      this.#unfinished.add({ id: message.messageId, message, ticket });
      throw unfinishedYet(error);
    }
  }

  #arrived(message: CommittedMessage, sequence: number): number {
    this.#carried.set(nameOf(message.senderId, message.clientMessageId), sequence);
    this.#unfinished.remove(message.messageId);
    return sequence;
  }

  async #finishInBackground({ message, ticket }: FailedSend): Promise<void> {
    const deadlineMs = monotonicMs() + BACKGROUND_TIMEOUT_MS;
    await this.#carryAgain(message, undefined, { ticket, deadlineMs });
  }
}

/** The sender is to ask again: the message is taken, whatever stopped it on its way. */
function unfinishedYet(error: unknown): RpcError {
  const { code, retryable, message: why } = RpcError.from(error);
  const message = `the message is taken and still on its way: ask again (${why})`;
  return new RpcError(retryable ? code : "UNAVAILABLE", message, { cause: error });
}

function tooManySends(): RpcError {
  monitor.add(refusedSends, 1);
  return new RpcError("OVERLOADED", "more is sent than can be answered in time: retry later");
}

function nameOf(senderId: string, clientMessageId: string): string {
  return `${senderId} ${clientMessageId}`;
}

/** What was committed is carried whatever the load: to shed it would only put it off. */
function forwardedWithTicket(call: Call): CarryOptions {
  const { ticket, deadlineMs } = call;
  return { ...forward(accepted(call)), ticket, deadlineMs };
}

function unwritten(taking: Promise<SendReply>, { conversationId }: Taken): SendReply {
  taking.catch(() => {});
  return { messageId: "unwritten", conversationId, sequence: 0 };
}
