/** The doors of 1:1 conversations: each needs the ticket of one of the two. */

import type { RetainReply } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import type {
  AppendMessageReply,
  AppendMessageRequest,
  EraseConversationRequest,
  ReadMessagesReply,
  ReadMessagesRequest,
  RetainConversationRequest,
  SequencesReply,
  SequencesRequest,
} from "../../../protos/gen/tricampus/data/v1/message_codec.ts";
import { Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { versionBefore } from "../age.ts";
import { requireCaller, requireTicketOf } from "../authority.ts";
import { levelOf } from "../consistency.ts";
import { firstRows } from "../page.ts";
import { forgetKinds, trimmedThrough, trimOperations } from "../trim.ts";
import { conversationOf, usersOf } from "./client.ts";
import type { MessageDataOptions } from "./config.ts";
import {
  appendChange,
  conversationKey,
  ID_KIND,
  INDEX_KIND,
  MESSAGE_KIND,
  messagesAfter,
  messagesBefore,
  readMessage,
  timeOf,
} from "./rows.ts";
import { findSequences } from "./sequences.ts";

const SEQUENCES_MAX = 1_000;

export class MessageHandlers {
  readonly #kv: KvClient;
  readonly #tickets: TicketVerifier;
  readonly #options: MessageDataOptions;

  constructor(kv: KvClient, tickets: TicketVerifier, options: MessageDataOptions) {
    this.#kv = kv;
    this.#tickets = tickets;
    this.#options = options;
  }

  async append({ message }: AppendMessageRequest, call: Call): Promise<AppendMessageReply> {
    requireArgument(message !== undefined && message.messageId !== "", "there is no message");
    requireTicketOf(this.#tickets, call, [message.senderId]);
    const { conversationId, senderId, recipientId } = message;
    requireArgument(
      conversationId === conversationOf(senderId, recipientId),
      `the message is not one of conversation "${conversationId}"`,
    );
    const { takesBack } = message;
    requireArgument(
      takesBack === undefined || (takesBack.senderId === senderId && takesBack.sequence > 0),
      "a message is taken back by its sender",
    );
    const request = {
      key: conversationKey(conversationId),
      change: appendChange(message, Date.now()),
    };
    const { results } = await this.#kv.change(request, forward(call));
    const sequence = results[0]?.number ?? 0;
    if (sequence === 0) throw new RpcError("INTERNAL", "the store appended and gave no number");
    return { sequence };
  }

  async read(request: ReadMessagesRequest, call: Call): Promise<ReadMessagesReply> {
    const { conversationId, consistency } = request;
    requireTicketOf(this.#tickets, call, usersOf(conversationId));
    const { afterSequence, beforeSequence, limit } = request;
    const reverse = beforeSequence > 0;
    const range = reverse ? messagesBefore(beforeSequence) : messagesAfter(afterSequence);
    const scan = { key: conversationKey(conversationId), ...range, limit, reverse };
    const page = await this.#kv.scanRows({ ...scan, level: levelOf(consistency) }, forward(call));
    const rows = firstRows(page.rows, this.#options.pageBytesMax);
    return {
      messages: rows.map(readMessage),
      more: page.more || rows.length < page.rows.length,
      forgotten: page.trims.some((trim) => !trim.appendIds),
    };
  }

  /** Messages with their index and their ids: who sends one again by then is numbered anew. */
  async retain(request: RetainConversationRequest, call: Call): Promise<RetainReply> {
    requireCaller(call, ["retention"], "forgetting messages");
    const key = conversationKey(request.conversationId);
    const options = forward(call);
    const { trims } = await this.#kv.getRows(
      { key, rows: [], marks: [], level: Level.ANY },
      options,
    );
    const old = (fromVersion: number) =>
      versionBefore(this.#kv, { key, fromVersion, beforeMs: request.beforeMs, timeOf }, options);
    const [messagesFrom, idsFrom] = [MESSAGE_KIND, INDEX_KIND].map((kind) =>
      trimmedThrough(trims, kind),
    ) as [number, number];
    const messagesThrough = await old(messagesFrom);
    // They differ when one of the two is gone.
    const idsThrough = idsFrom === messagesFrom ? messagesThrough : await old(idsFrom);
    const operations = [
      ...trimOperations(trims, { ...MESSAGE_KIND, throughVersion: messagesThrough }),
      ...trimOperations(trims, { ...INDEX_KIND, throughVersion: idsThrough }),
      ...trimOperations(trims, { ...ID_KIND, throughVersion: idsThrough }),
    ];
    if (operations.length > 0) {
      await this.#kv.change({ key, change: { guards: [], operations } }, options);
    }
    return { forgottenVersion: messagesThrough };
  }

  /**
   * account: one of the two is there no more; the other one has its own copies. These still have their
   * numbers, and are not to be numbered and delivered once more.
   */
  async erase({ conversationId }: EraseConversationRequest, call: Call): Promise<RetainReply> {
    requireCaller(call, ["account"], "erasing a conversation");
    const key = conversationKey(conversationId);
    const options = forward(call);
    return {
      forgottenVersion: await forgetKinds(this.#kv, key, { kinds: [MESSAGE_KIND] }, options),
    };
  }

  async sequences(request: SequencesRequest, call: Call): Promise<SequencesReply> {
    requireTicketOf(this.#tickets, call, usersOf(request.conversationId));
    requireArgument(
      request.messageIds.length <= SEQUENCES_MAX,
      `sequences of at most ${SEQUENCES_MAX} messages can be asked for at once`,
    );
    return { sequences: await findSequences(this.#kv, request, forward(call)) };
  }
}
