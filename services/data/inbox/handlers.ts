/** The inbox's doors, and who may pass each. */
import type {
  CommitReply,
  CommitRequest,
  CommittedRequest,
  DeliverReply,
  DeliverRequest,
  InboxChangesReply,
  InboxChangesRequest,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import { requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireCaller, requireTicketOf } from "../authority.ts";
import { readChanges } from "./changes.ts";
import type { InboxDataOptions } from "./config.ts";
import { deliver } from "./deliver.ts";
import { Gate } from "./gate.ts";
import { commitChange, committedRowKey, inboxKey, readCommitted } from "./rows.ts";

/** Delivery is append-only and theirs: they checked the sender's ticket, or cite an entry that did. */
const DELIVERERS = ["text", "fanout"];

export class InboxHandlers {
  readonly #kv: KvClient;
  readonly #tickets: TicketVerifier;
  readonly #fanoutGate: Gate;

  constructor(kv: KvClient, tickets: TicketVerifier, options: InboxDataOptions) {
    this.#kv = kv;
    this.#tickets = tickets;
    this.#fanoutGate = new Gate(options.fanoutBytesInFlightMax);
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

  changes(request: InboxChangesRequest, call: Call): Promise<InboxChangesReply> {
    requireTicketOf(this.#tickets, call, [request.userId]);
    return readChanges(this.#kv, request, forward(call));
  }
}
