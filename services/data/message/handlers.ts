/** The doors of 1:1 conversations: each needs the ticket of one of the two. */
import type { InboxMessage } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import type {
  AppendMessageReply,
  AppendMessageRequest,
  ReadMessagesReply,
  ReadMessagesRequest,
  SequencesReply,
  SequencesRequest,
} from "../../../protos/gen/tricampus/data/v1/message_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import { requireArgument, RpcError } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireTicketOf } from "../authority.ts";
import { levelOf } from "../consistency.ts";
import { conversationOf, usersOf } from "./client.ts";
import type { MessageDataOptions } from "./config.ts";
import { appendChange, conversationKey, messagesAfter, readMessage } from "./rows.ts";
import { findSequences } from "./sequences.ts";

/** Small enough for a frame even if every message is as large as one can be. */
const STEP_ROWS_MAX = 50;
const PAGE_ROWS_MAX = 1_000;
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
    const request = { key: conversationKey(conversationId), change: appendChange(message) };
    const { results } = await this.#kv.change(request, forward(call));
    const sequence = results[0]?.number ?? 0;
    if (sequence === 0) throw new RpcError("INTERNAL", "the store appended and gave no number");
    return { sequence };
  }

  async read(request: ReadMessagesRequest, call: Call): Promise<ReadMessagesReply> {
    const { conversationId, afterSequence, consistency } = request;
    requireTicketOf(this.#tickets, call, usersOf(conversationId));
    const rowsMax = Math.min(request.limit || PAGE_ROWS_MAX, PAGE_ROWS_MAX);
    const key = conversationKey(conversationId);
    const level = levelOf(consistency);
    const messages: InboxMessage[] = [];
    for (let bytes = 0; ; ) {
      const { first, end } = messagesAfter(messages.at(-1)?.sequence ?? afterSequence);
      const limit = Math.min(STEP_ROWS_MAX, rowsMax - messages.length);
      const page = await this.#kv.scanRows(
        { key, first, end, limit, level, reverse: false },
        forward(call),
      );
      for (const row of page.rows) {
        bytes += row.value.length;
        messages.push(readMessage(row));
      }
      const isFull = messages.length >= rowsMax || bytes >= this.#options.pageBytesMax;
      if (!page.more || isFull || page.rows.length === 0) return { messages };
    }
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
