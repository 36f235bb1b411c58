/** Which sends are taken: the rules on a request, and on a retry under a known client message id. */
import type { SendRequest } from "../../../protos/gen/tricampus/client/v1/text_codec.ts";
import type { MembershipReply } from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import type { CommittedMessage } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import { API_DEVICE } from "../api-device-client.ts";
import { requireClientId, requireId } from "../arguments.ts";
import { checkContent, isSameContent } from "./content.ts";

export const TEXT_BYTES_MAX = 64 * 1024;
const USER_NAME_CHARACTERS_MAX = 64;

export type Recipient = NonNullable<SendRequest["to"]>;

/** Throws unless the request may be taken; returns to whom it goes. `caller`: the calling service. */
export function checkSend(request: SendRequest, caller: string): Recipient {
  const { to, text, content } = request;
  requireClientId(request.clientMessageId, "a client message id");
  const hasBody = content?.body !== undefined;
  requireArgument(text !== "" || hasBody, "a message without text cannot be sent");
  const bytes = Buffer.byteLength(text);
  if (bytes > TEXT_BYTES_MAX) {
    const message = `the text has ${bytes} bytes, ${TEXT_BYTES_MAX} are the limit: split it`;
    throw new RpcError("TOO_LARGE", message);
  }
  requireArgument(to !== undefined, "the message names no recipient");
  const isInvite = content?.body?.case === "invite" && caller === "group";
  if (content !== undefined && !isInvite) checkContent(content, to.case === "groupId");
  switch (to.case) {
    case "userId":
      requireId(to.value, "a user id");
      break;
    case "groupId":
      requireId(to.value, "a group id");
      break;
    case "userName":
      requireArgument(
        to.value !== "" && to.value.length <= USER_NAME_CHARACTERS_MAX,
        `a user name has 1 to ${USER_NAME_CHARACTERS_MAX} characters`,
      );
      break;
  }
  return to;
}

/** When a message counts as said: now, unless its history is imported with an API key. */
export function acceptedAt(
  { acceptedAtMs }: Pick<SendRequest, "acceptedAtMs">,
  device: string,
  nowMs: number,
): number {
  if (acceptedAtMs === 0) return nowMs;
  const message = "accepted_at_ms is for history that is imported with an API key";
  if (device !== API_DEVICE) throw new RpcError("PERMISSION_DENIED", message);
  requireArgument(acceptedAtMs <= nowMs, "accepted_at_ms: history is not in the future");
  return acceptedAtMs;
}

/** A client message id stands for one message: what was committed under it must be what is sent. */
export function requireSameMessage(committed: CommittedMessage, sent: CommittedMessage): void {
  const isSame =
    committed.conversationId === sent.conversationId &&
    committed.recipientId === sent.recipientId &&
    (committed.recalled ||
      (committed.text === sent.text && isSameContent(committed.content, sent.content)));
  requireArgument(
    isSame,
    `client message id "${sent.clientMessageId}" was used for another message: take a new one`,
  );
}

/** Why a message is not taken for a group; undefined when it is. */
export function refusalInGroup(
  { member, groupExists, profile, record }: MembershipReply,
  message: Pick<CommittedMessage, "conversationId" | "senderId" | "content">,
  nowMs: number,
): RpcError | undefined {
  const { conversationId: groupId, senderId, content } = message;
  if (!groupExists) return new RpcError("NOT_FOUND", `there is no group ${groupId}`);
  const denied = (why: string) => new RpcError("PERMISSION_DENIED", why);
  if (!member || profile === undefined || record === undefined) {
    return denied(`you are not a member of group ${groupId}`);
  }
  if (record.admin || profile.ownerId === senderId) return undefined;
  if (profile.allMuted) return denied("only the group's owner and admins may speak now");
  if (record.mutedUntilMs > nowMs) {
    return denied(`you are muted until ${new Date(record.mutedUntilMs).toISOString()}`);
  }
  if (content?.mentionsAll === true) return denied("owner and admins mention everybody");
  return undefined;
}
