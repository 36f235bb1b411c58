/** Which sends are taken: the rules on a request, and on a retry under a known client message id. */
import type { SendRequest } from "../../../protos/gen/tricampus/client/v1/text_codec.ts";
import type { CommittedMessage } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import { requireClientId, requireId } from "../arguments.ts";

export const TEXT_BYTES_MAX = 64 * 1024;
const USER_NAME_CHARACTERS_MAX = 64;

export type Recipient = NonNullable<SendRequest["to"]>;

/** Throws unless the request may be taken; returns to whom it goes. */
export function checkSend(request: SendRequest): Recipient {
  requireClientId(request.clientMessageId, "a client message id");
  requireArgument(request.text !== "", "a message without text cannot be sent");
  const bytes = Buffer.byteLength(request.text);
  if (bytes > TEXT_BYTES_MAX) {
    const message = `the text has ${bytes} bytes, ${TEXT_BYTES_MAX} are the limit: split it`;
    throw new RpcError("TOO_LARGE", message);
  }
  const { to } = request;
  requireArgument(to !== undefined, "the message names no recipient");
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

/** A client message id stands for one message: what was committed under it must be what is sent. */
export function requireSameMessage(committed: CommittedMessage, sent: CommittedMessage): void {
  const isSame =
    committed.conversationId === sent.conversationId &&
    committed.recipientId === sent.recipientId &&
    committed.text === sent.text;
  requireArgument(
    isSame,
    `client message id "${sent.clientMessageId}" was used for another message: take a new one`,
  );
}
