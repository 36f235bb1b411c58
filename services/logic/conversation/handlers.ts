/** Conversations as a user's devices share them, and who has read what. */
import type {
  HistoryReply,
  HistoryRequest,
  ReadByReply,
  ReadByRequest,
  SetConversationReply,
  SetConversationRequest,
} from "../../../protos/gen/tricampus/client/v1/conversation_codec.ts";
import type { ConversationSetting } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  GroupData,
  makeGroupMessagesRequest,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { Consistency, InboxData } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { usersOf } from "../../data/message/client.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireCharacters, requireConversationId, requireId } from "../arguments.ts";
import type { Notifier } from "../notify/notifier.ts";
import { HISTORY_MAX, type HistoryParts, readHistory } from "./history.ts";

const SETTINGS_MAX = 100;
const DRAFT_CHARACTERS_MAX = 4_000;
const HISTORY_DEFAULT = 50;

export interface ConversationParts extends HistoryParts {
  readonly tickets: TicketVerifier;
  readonly notifier: Pick<Notifier, "notify">;
  /** Whether the user lets others know how far it has read. */
  readonly tells: (userId: string, call: Call) => Promise<boolean>;
}

export class ConversationHandlers {
  readonly #parts: ConversationParts;

  constructor(parts: ConversationParts) {
    this.#parts = parts;
  }

  async set({ settings }: SetConversationRequest, call: Call): Promise<SetConversationReply> {
    const { tickets, inboxes, notifier } = this.#parts;
    const { userId } = tickets.userOf(call);
    requireArgument(
      settings.length >= 1 && settings.length <= SETTINGS_MAX,
      `1 to ${SETTINGS_MAX} settings can be set at once`,
    );
    for (const setting of settings) checkSetting(setting, userId);
    const { version, alone, changed } = await inboxes.call(
      InboxData.set,
      { settings },
      forward(call),
    );
    if (!changed) return {};
    notifier.notify({ settings }, [{ userId, version, alone }]);
    await this.#tellReads(settings, userId, call);
    return {};
  }

  /** Hints, like a push: who missed one sees the next. */
  async #tellReads(
    settings: readonly ConversationSetting[],
    userId: string,
    call: Call,
  ): Promise<void> {
    const reads = settings.filter(({ setting }) => setting?.case === "readSequence");
    if (reads.length === 0 || !(await this.#parts.tells(userId, call))) return;
    const told = reads.map(({ conversationId, setting }) =>
      this.#tellRead(conversationId, Number(setting!.value), { userId, call }),
    );
    await Promise.allSettled(told);
  }

  async #tellRead(
    conversationId: string,
    sequence: number,
    { userId, call }: { userId: string; call: Call },
  ): Promise<void> {
    const { groups, inboxes, notifier } = this.#parts;
    const users = usersOf(conversationId);
    if (users.length === 0) {
      const request = { groupId: conversationId, sequence };
      await groups.call(GroupData.markRead, request, forward(call));
      return;
    }
    const peer = users.find((user) => user !== userId);
    if (peer === undefined) return;
    const request = { conversationId, sequence };
    const reply = await inboxes.call(InboxData.deliverRead, request, forward(call));
    if (!reply.changed) return;
    const { version, alone, toldSequence } = reply;
    const setting = { case: "peerReadSequence", value: toldSequence || sequence } as const;
    notifier.notify({ settings: [{ conversationId, setting }] }, [
      { userId: peer, version, alone },
    ]);
  }

  async readBy({ groupId, sequence }: ReadByRequest, call: Call): Promise<ReadByReply> {
    this.#parts.tickets.userOf(call);
    requireId(groupId, "a group id");
    requireArgument(sequence > 0, "messages are numbered from 1");
    const { groups } = this.#parts;
    const options = forward(call);
    const message = { groupId, afterSequence: sequence - 1, limit: 1 };
    const [group, { positions }, { messages }] = await Promise.all([
      groups.call(GroupData.read, { groupId, consistency: Consistency.STRONG }, options),
      groups.call(GroupData.readPositions, { groupId }, options),
      groups.call(GroupData.messages, makeGroupMessagesRequest(message), options),
    ]);
    const could = new Set(
      group.members
        .filter((m) => m.leftSequence === 0 && m.sinceSequence <= sequence)
        .map((m) => m.userId),
    );
    const sent = messages.find((one) => one.sequence === sequence);
    if (sent !== undefined) could.delete(sent.senderId);
    const have = positions.filter((p) => p.sequence >= sequence && could.has(p.userId));
    return { userIds: have.map((position) => position.userId), members: could.size };
  }

  async history(request: HistoryRequest, call: Call): Promise<HistoryReply> {
    const { userId } = this.#parts.tickets.userOf(call);
    const { conversationId, beforeSequence } = request;
    requireConversationId(conversationId);
    requireArgument(request.limit <= HISTORY_MAX, `a page has at most ${HISTORY_MAX} messages`);
    const limit = request.limit || HISTORY_DEFAULT;
    const users = usersOf(conversationId);
    if (users.length > 0 && !users.includes(userId)) {
      throw new RpcError("PERMISSION_DENIED", "the conversation is one of others");
    }
    const page = { beforeSequence: beforeSequence || Number.MAX_SAFE_INTEGER, limit };
    return readHistory(this.#parts, { conversationId, ...page }, forward(call));
  }
}

function checkSetting({ conversationId, setting }: ConversationSetting, userId: string): void {
  requireConversationId(conversationId);
  const users = usersOf(conversationId);
  requireArgument(
    users.length === 0 || users.includes(userId),
    "the conversation is one of other users",
  );
  switch (setting?.case) {
    case "draft":
      requireCharacters(setting.value, "a draft", { max: DRAFT_CHARACTERS_MAX });
      return;
    case "readSequence":
    case "clearedSequence":
    case "hiddenSequence":
      requireArgument(setting.value > 0, "messages are numbered from 1");
      return;
    case "pinnedAtMs":
    case "muted":
      return;
    default:
      throw new RpcError("INVALID_ARGUMENT", "this setting is not yours to set");
  }
}
