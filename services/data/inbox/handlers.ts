/** The inbox's doors, and who may pass each. */
import {
  type CommitReply,
  type CommitRequest,
  type CommittedRequest,
  type DeliverReadRequest,
  type DeliverReply,
  type DeliverRequest,
  type EraseInboxRequest,
  type InboxChangesReply,
  type InboxChangesRequest,
  type MutedReply,
  type MutedRequest,
  makeSetSettingsReply,
  type RetainInboxRequest,
  type RetainReply,
  type SetSettingsReply,
  type SetSettingsRequest,
  type TracesReply,
  type TracesRequest,
  type ViewReply,
  type ViewRequest,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import { requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireCaller, requireTicketOf } from "../authority.ts";
import { usersOf } from "../message/client.ts";
import { forgetAll } from "../trim.ts";
import { readChanges } from "./changes.ts";
import type { InboxDataOptions } from "./config.ts";
import { deliver } from "./deliver.ts";
import { Gate } from "./gate.ts";
import { mutedUsers } from "./mutes.ts";
import { forget } from "./retain.ts";
import { commitChange, committedRowKey, inboxKey, readCommitted } from "./rows.ts";
import { SETTING_ROWS_MAX, SettingWriter } from "./setting-rows.ts";
import { readTraces } from "./traces.ts";
import { view } from "./view.ts";

const SETTINGS_MAX = 100;
const MUTED_USERS_MAX = 1_500;
const VIEWED_MAX = 200;

/** Delivery is append-only and theirs: they checked the sender's ticket, or cite an entry that did. */
const DELIVERERS = ["text", "fanout"];

export class InboxHandlers {
  readonly #kv: KvClient;
  readonly #tickets: TicketVerifier;
  readonly #fanoutGate: Gate;
  readonly #settings: SettingWriter;

  constructor(kv: KvClient, tickets: TicketVerifier, options: InboxDataOptions) {
    this.#kv = kv;
    this.#tickets = tickets;
    const { fanoutBytesInFlightMin, fanoutBytesInFlightMax: max } = options;
    this.#fanoutGate = new Gate({ min: Math.min(fanoutBytesInFlightMin, max), max });
    this.#settings = new SettingWriter(kv);
  }

  async commit({ message }: CommitRequest, call: Call): Promise<CommitReply> {
    requireArgument(message !== undefined, "there is no message to commit");
    requireArgument(message.clientMessageId !== "", "the message has no client message id");
    const owner = requireTicketOf(this.#tickets, call, [message.senderId]);
    const request = { key: inboxKey(owner), change: commitChange(message) };
    const { results, version, alone } = await this.#kv.change(request, forward(call));
    const [result] = results;
    if (result?.existed !== true) return { message, existed: false, version, alone };
    return { message: readCommitted(result.value), existed: true, version, alone: false };
  }

  async committed({ clientMessageId }: CommittedRequest, call: Call): Promise<CommitReply> {
    const owner = this.#tickets.userOf(call).userId;
    const { rows, version } = await this.#kv.getRows(
      {
        key: inboxKey(owner),
        rows: [committedRowKey(clientMessageId)],
        marks: [],
        level: Level.STRONG,
      },
      forward(call),
    );
    const [row] = rows;
    const message = row === undefined ? undefined : readCommitted(row.value);
    return { message, existed: row !== undefined, version, alone: false };
  }

  async deliver({ deliveries }: DeliverRequest, call: Call): Promise<DeliverReply> {
    requireCaller(call, DELIVERERS, "delivering into inboxes");
    // A 1:1 message is one row that its sender waits for: it does not queue behind fan-out.
    const gate = call.caller === "fanout" ? this.#fanoutGate : undefined;
    return { outcomes: await deliver(this.#kv, deliveries, gate, forward(call)) };
  }

  async set({ settings }: SetSettingsRequest, call: Call): Promise<SetSettingsReply> {
    const owner = this.#tickets.userOf(call).userId;
    requireArgument(
      settings.length >= 1 && settings.length <= SETTINGS_MAX,
      `1 to ${SETTINGS_MAX} settings can be set at once`,
    );
    const isForeign = settings.some(({ setting }) => setting?.case === "peerReadSequence");
    requireArgument(!isForeign, "how far others have read is theirs to say");
    // Safe to repeat, so it needs no operation id.
    const options = { ...forward(call), operationId: NO_BYTES };
    return this.#settings.write({ owner, settings, rowsMax: SETTING_ROWS_MAX }, options);
  }

  /**
   * conversation: tells the other side of a 1:1 conversation how far the ticket's owner has read. At most
   * as far as it was delivered to: else anybody could write into any inbox, without end. More is no
   * mistake: a reader's own messages count, and are not delivered to it.
   */
  async deliverRead(request: DeliverReadRequest, call: Call): Promise<SetSettingsReply> {
    requireCaller(call, ["conversation"], "telling how far somebody has read");
    const { conversationId, sequence } = request;
    const users = usersOf(conversationId);
    const reader = requireTicketOf(this.#tickets, call, users);
    const owner = users.find((user) => user !== reader) ?? reader;
    const told = Math.min(sequence, await this.#deliveredTo(reader, conversationId, call));
    if (told === 0) return makeSetSettingsReply({});
    const setting = { case: "peerReadSequence", value: told } as const;
    const settings = [{ conversationId, setting }];
    const options = { ...forward(call), operationId: NO_BYTES };
    const reply = await this.#settings.write({ owner, settings, rowsMax: {} }, options);
    return { ...reply, toldSequence: told };
  }

  /** 0: nothing of the conversation. */
  async #deliveredTo(userId: string, conversationId: string, call: Call): Promise<number> {
    const marks = [Buffer.from(conversationId)];
    const asked = { key: inboxKey(userId), rows: [], marks, level: Level.STRONG };
    const reply = await this.#kv.getRows(asked, forward(call));
    return reply.marks[0] ?? 0;
  }

  async view(request: ViewRequest, call: Call): Promise<ViewReply> {
    requireCaller(call, ["group-data", "conversation"], "what an inbox says of messages");
    const { userId: owner } = this.#tickets.userOf(call);
    requireArgument(
      request.sequences.length <= VIEWED_MAX,
      `${VIEWED_MAX} messages can be looked at at once`,
    );
    return view(this.#kv, { owner, ...request }, forward(call));
  }

  async muted({ conversationId, userIds }: MutedRequest, call: Call): Promise<MutedReply> {
    requireCaller(call, ["hooks"], "who has muted a conversation");
    requireArgument(
      userIds.length >= 1 && userIds.length <= MUTED_USERS_MAX,
      `1 to ${MUTED_USERS_MAX} users can be asked for at once`,
    );
    return { userIds: await mutedUsers(this.#kv, { conversationId, userIds }, forward(call)) };
  }

  async retain(request: RetainInboxRequest, call: Call): Promise<RetainReply> {
    requireCaller(call, ["retention"], "forgetting messages");
    return { forgottenVersion: await forget(this.#kv, request, forward(call)) };
  }

  traces(request: TracesRequest, call: Call): Promise<TracesReply> {
    requireCaller(call, ["account"], "what a user took part in");
    return readTraces(this.#kv, request, forward(call));
  }

  async erase({ userId }: EraseInboxRequest, call: Call): Promise<RetainReply> {
    requireCaller(call, ["account"], "erasing an inbox");
    return { forgottenVersion: await forgetAll(this.#kv, inboxKey(userId), forward(call)) };
  }

  changes(request: InboxChangesRequest, call: Call): Promise<InboxChangesReply> {
    requireTicketOf(this.#tickets, call, [request.userId]);
    return readChanges(this.#kv, request, forward(call));
  }
}
