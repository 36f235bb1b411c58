/** What an integrator's server is told of a message or a notice: docs/protocol.md has the fields. Pure. */
import {
  type InboxMessage,
  NoticeKind,
} from "../../../../protos/gen/tricampus/client/v1/sync_codec.ts";

export const EVENT_KINDS = ["message.sent", "message.recalled", "group.changed"] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

export type Json = Readonly<Record<string, unknown>>;

const NOTICE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(NoticeKind).map(([name, number]) => [number, name.toLowerCase()]),
);

export function kindOf({ notice, content }: InboxMessage): EventKind {
  if (notice !== undefined) return "group.changed";
  return content?.body?.case === "recall" ? "message.recalled" : "message.sent";
}

/** `recipientId`: the other side of a 1:1 conversation; empty in a group. */
export function eventOf(message: InboxMessage, recipientId: string, withText: boolean): Json {
  const { notice } = message;
  return {
    event: kindOf(message),
    ...factsOf(message, recipientId, withText),
    ...(notice && {
      change: NOTICE_NAMES.get(notice.kind) ?? `kind ${notice.kind}`,
      userId: notice.userId,
      ...(notice.untilMs > 0 && { untilMs: notice.untilMs }),
    }),
  };
}

/** `userIds`: whose devices are to ring. */
export function pushOf(
  message: InboxMessage,
  userIds: readonly string[],
  { recipientId, withText }: { recipientId: string; withText: boolean },
): Json {
  return { userIds, ...factsOf(message, recipientId, withText) };
}

function factsOf(message: InboxMessage, recipientId: string, withText: boolean): Json {
  const { conversationId, sequence, messageId, clientMessageId, senderId, acceptedAtMs } = message;
  const { content } = message;
  return {
    id: `${conversationId}#${sequence}`,
    conversationId,
    ...(recipientId === "" ? { groupId: conversationId } : { recipientId }),
    ...{ sequence, messageId, clientMessageId, senderId, acceptedAtMs },
    ...(withText && { text: message.text }),
    ...(content?.body !== undefined && { contentKind: content.body.case }),
    ...(withText && content?.body !== undefined && { content: withoutBytes(content.body.value) }),
    ...((content?.mentions.length ?? 0) > 0 && { mentions: content!.mentions }),
    ...(content?.mentionsAll && { mentionsAll: true }),
  };
}

/** What a device gets as bytes it gets from the platform alone. */
export function withoutBytes(value: object): Json {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => !(v instanceof Uint8Array)));
}
