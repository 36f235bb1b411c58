/**
 * Taking a message back: what may be taken back by whom, and the message that does it.
 *
 * A recall is a message of the same conversation: committed, numbered and delivered like any other, so
 * that it reaches devices that were offline, once and in its place. Each step also removes the body
 * where the step writes anyway: the sender's committed row, the conversation's row, the inbox row. So a
 * device that has not seen the message never does.
 */
import { makeContent } from "../../../protos/gen/tricampus/client/v1/content_codec.ts";
import type { InboxMessage } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import type { RecallRequest } from "../../../protos/gen/tricampus/client/v1/text_codec.ts";
import {
  GroupData,
  type MembershipReply,
  makeGroupMessagesRequest,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import {
  type CommittedMessage,
  Consistency,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import {
  MessageData,
  makeReadMessagesRequest,
} from "../../../protos/gen/tricampus/data/v1/message_codec.ts";
import { takenBack, usersOf } from "../../data/message/client.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import { requireClientId, requireConversationId } from "../arguments.ts";

interface RecallWindows {
  readonly recallMs: number;
  /** Files, images and videos. */
  readonly recallMediaMs: number;
  /** Owner and admins of a group, anybody's messages. */
  readonly recallByAdminMs: number;
}

export interface RecallParts extends RecallWindows {
  readonly messages: Callee;
  readonly groups: Callee;
}

export function checkRecall({ clientMessageId, conversationId, sequence }: RecallRequest): void {
  requireClientId(clientMessageId, "a client message id");
  requireConversationId(conversationId);
  requireArgument(sequence > 0, "a recall names the number of what it takes back");
}

/** A message that may be sent, before it is given an id and a time. */
export type Taken = Omit<CommittedMessage, "messageId" | "acceptedAtMs" | "committedAtMs">;

export class Recalls {
  readonly #parts: RecallParts;

  constructor(parts: RecallParts) {
    this.#parts = parts;
  }

  /** The message that takes back what the request names; throws when `userId` may not. */
  async messageFor(
    request: RecallRequest,
    userId: string,
    options: CallOptions & { nowMs: number },
  ): Promise<Taken> {
    const { conversationId, clientMessageId } = request;
    const users = usersOf(conversationId);
    const isDirect = users.length > 0;
    if (isDirect && !users.includes(userId)) throw notTheirs();
    const target = await (isDirect
      ? this.#ofTwo(request, options)
      : this.#ofGroup(request, options));
    requireTarget(target, request);
    const membership = isDirect
      ? undefined
      : await this.#membership(conversationId, userId, options);
    const refusal = refusalOf(target, { userId, membership, ...options }, this.#parts);
    if (refusal !== undefined) throw refusal;
    const { messageId, sequence, senderId } = target;
    return {
      ...{ conversationId, clientMessageId, senderId: userId, text: "", recalled: false },
      recipientId: isDirect ? (users.find((user) => user !== userId) ?? userId) : "",
      content: makeContent({ body: { case: "recall", value: { messageId, sequence, senderId } } }),
      takesBack: takenBack(target),
    };
  }

  async #ofTwo({ conversationId, sequence }: RecallRequest, options: CallOptions) {
    const facts = { conversationId, afterSequence: sequence - 1, limit: 1 };
    const request = makeReadMessagesRequest({ ...facts, consistency: Consistency.STRONG });
    const page = await this.#parts.messages.call(MessageData.read, request, options);
    return page.messages[0];
  }

  async #ofGroup({ conversationId: groupId, sequence }: RecallRequest, options: CallOptions) {
    const request = makeGroupMessagesRequest({ groupId, afterSequence: sequence - 1, limit: 1 });
    const page = await this.#parts.groups.call(GroupData.messages, request, options);
    return page.messages[0];
  }

  #membership(groupId: string, userId: string, options: CallOptions): Promise<MembershipReply> {
    const question = { groupId, userId, consistency: Consistency.STRONG };
    return this.#parts.groups.call(GroupData.membership, question, options);
  }
}

function requireTarget(
  target: InboxMessage | undefined,
  { sequence, messageId }: RecallRequest,
): asserts target is InboxMessage {
  const isThere = target?.sequence === sequence && target.messageId === messageId;
  if (!isThere) throw new RpcError("NOT_FOUND", `there is no message ${sequence} of that id here`);
}

/** Why `userId` may not take the message back; undefined when it may. */
export function refusalOf(
  target: InboxMessage,
  facts: { userId: string; membership: MembershipReply | undefined; nowMs: number },
  windows: RecallWindows,
): RpcError | undefined {
  const { userId, membership, nowMs } = facts;
  const failed = (why: string) => new RpcError("FAILED_PRECONDITION", why);
  const { content, notice } = target;
  if (target.recalled) return failed("the message was taken back before");
  if (notice !== undefined || content?.body?.case === "recall") {
    return failed("what the platform tells cannot be taken back");
  }
  const isAdmin = membership?.record?.admin === true || membership?.profile?.ownerId === userId;
  if (target.senderId !== userId && !isAdmin) return notTheirs();
  const windowMs = Math.max(
    target.senderId === userId ? ownWindowMs(target, windows) : 0,
    isAdmin ? windows.recallByAdminMs : 0,
  );
  if (nowMs - target.acceptedAtMs <= windowMs) return undefined;
  return failed(`a message can be taken back for ${Math.round(windowMs / 1_000)} s`);
}

function ownWindowMs({ content }: InboxMessage, windows: RecallWindows): number {
  const kind = content?.body?.case;
  const isMedia = kind === "file" || kind === "image" || kind === "video";
  return isMedia ? windows.recallMediaMs : windows.recallMs;
}

function notTheirs(): RpcError {
  return new RpcError("PERMISSION_DENIED", "only who sent a message takes it back");
}
