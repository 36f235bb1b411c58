/**
 * What of a 1:1 conversation a recipient gets, and how far its mark then moves.
 *
 * The mark counts the whole conversation, the recipient's own messages included, although those are
 * not delivered: they lie in the recipient's inbox since they were committed.
 */
import type { InboxMessage } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";

/**
 * `page`: messages read above `mark`. Undefined when it has none that directly follows the mark: it
 * came from a replica that lags behind. `forgotten`: or from a conversation whose older messages are
 * forgotten, by age: nobody gets those any more.
 */
export function deliverableAfter(
  { messages: page, forgotten }: { messages: readonly InboxMessage[]; forgotten: boolean },
  at: { mark: number; own: InboxMessage; recipientId: string },
): { messages: InboxMessage[]; through: number } | undefined {
  const messages: InboxMessage[] = [];
  let through = forgotten ? Math.max(at.mark, (page[0]?.sequence ?? 0) - 1) : at.mark;
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
