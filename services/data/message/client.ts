/**
 * What other services know of a 1:1 conversation: its id, and what becomes of a committed message in
 * it. The id is made from the two user ids alone, so that both sides, and every process, name the same
 * table without asking anybody.
 */
import type { InboxMessage } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import type { CommittedMessage } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";

const PREFIX = "c:";
const BETWEEN = "|";

export function conversationOf(one: string, other: string): string {
  return PREFIX + (one <= other ? one + BETWEEN + other : other + BETWEEN + one);
}

/** The two users of a conversation id; none when it is not one. */
export function usersOf(conversationId: string): readonly string[] {
  if (!conversationId.startsWith(PREFIX)) return [];
  const users = conversationId.slice(PREFIX.length).split(BETWEEN);
  const [one, other] = users;
  const isWhole =
    users.length === 2 && one !== "" && conversationOf(one!, other!) === conversationId;
  return isWhole ? users : [];
}

/** A committed message as its conversation numbers it. */
export function numbered(message: CommittedMessage, sequence: number): InboxMessage {
  const { messageId, conversationId, senderId, clientMessageId, text, acceptedAtMs } = message;
  const { content, recalled, committedAtMs } = message;
  return {
    ...{ messageId, conversationId, sequence, senderId, clientMessageId, text, acceptedAtMs },
    ...{ notice: undefined, content, recalled, apartBytes: 0, committedAtMs },
  };
}

/** When the platform took a message, milliseconds since 1970; by when it was said if it does not say. */
export function committedAt(
  message: Pick<CommittedMessage, "acceptedAtMs" | "committedAtMs">,
): number {
  return message.committedAtMs || message.acceptedAtMs;
}

/** What is left of a message that was taken back: its place. */
export function takenBack(message: InboxMessage): InboxMessage {
  return { ...message, text: "", content: undefined, apartBytes: 0, recalled: true };
}
