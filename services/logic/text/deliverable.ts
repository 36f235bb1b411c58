/**
 * What of a 1:1 conversation a recipient gets, and how far its mark then moves.
 *
 * The mark counts the whole conversation, the recipient's own messages included, although those are
 * not delivered: they lie in the recipient's inbox since they were committed.
 */
import type { InboxMessage } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import type { CommittedMessage } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";

export function numbered(message: CommittedMessage, sequence: number): InboxMessage {
  const { messageId, conversationId, senderId, clientMessageId, text, acceptedAtMs } = message;
  return {
    ...{ messageId, conversationId, sequence, senderId, clientMessageId, text, acceptedAtMs },
    notice: undefined,
  };
}

/**
 * `page`: messages read above `mark`. Undefined when it has none that directly follows the mark: it
 * came from a replica that lags behind.
 */
export function deliverableAfter(
  page: readonly InboxMessage[],
  at: { mark: number; own: InboxMessage; recipientId: string },
): { messages: InboxMessage[]; through: number } | undefined {
  const messages: InboxMessage[] = [];
  let through = at.mark;
  for (const message of page) {
    if (message.sequence !== through + 1 || message.sequence >= at.own.sequence) break;
    through = message.sequence;
    if (message.senderId !== at.recipientId) messages.push(message);
  }
  if (through === at.own.sequence - 1) {
    messages.push(at.own);
    through = at.own.sequence;
  }
  return through === at.mark ? undefined : { messages, through };
}
