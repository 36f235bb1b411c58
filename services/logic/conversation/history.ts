/**
 * Messages of a conversation, newest first, as their reader may see them: without what it deleted for itself. A
 * page of which nothing is left is no answer, since the next one is asked for by its lowest number: it is read on.
 */
import type { HistoryReply } from "../../../protos/gen/tricampus/client/v1/conversation_codec.ts";
import {
  GroupData,
  makeGroupMessagesRequest,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { Consistency } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import {
  MessageData,
  makeReadMessagesRequest,
} from "../../../protos/gen/tricampus/data/v1/message_codec.ts";
import { viewOf } from "../../data/inbox/view-client.ts";
import { usersOf } from "../../data/message/client.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";

export const HISTORY_MAX = 200;

export interface HistoryParts {
  readonly inboxes: Callee;
  readonly groups: Callee;
  readonly messages: Callee;
}

interface Page {
  readonly conversationId: string;
  readonly beforeSequence: number;
  readonly limit: number;
}

/** The caller's ticket must be of one of the two, or a member's. */
export async function readHistory(
  parts: HistoryParts,
  { limit, ...asked }: Page,
  options: CallOptions,
): Promise<HistoryReply> {
  const { conversationId } = asked;
  for (let page = { ...asked, limit }; ; ) {
    const { messages, more } = await readPage(parts, page, options);
    const last = messages.at(-1)?.sequence ?? 0;
    if (last === 0) return { messages: [], more: false };
    const sequences = messages.map(({ sequence }) => sequence);
    const request = { conversationId, sequences };
    const view = await viewOf(parts.inboxes, request, options);
    const hidden = new Set(view.hidden);
    const shown = messages.filter(
      ({ sequence }) => sequence > view.clearedSequence && !hidden.has(sequence),
    );
    const goesOn = more && last > view.clearedSequence + 1;
    if (shown.length > limit) return { messages: shown.slice(0, limit), more: true };
    if (shown.length > 0 || !goesOn) return { messages: shown, more: goesOn };
    page = { conversationId, beforeSequence: last, limit: HISTORY_MAX };
  }
}

function readPage(
  { groups, messages }: HistoryParts,
  { conversationId, ...page }: Page,
  options: CallOptions,
): Promise<HistoryReply> {
  if (usersOf(conversationId).length === 0) {
    const request = makeGroupMessagesRequest({ groupId: conversationId, ...page });
    return groups.call(GroupData.messages, request, options);
  }
  const facts = { conversationId, ...page, consistency: Consistency.STRONG };
  return messages.call(MessageData.read, makeReadMessagesRequest(facts), options);
}
