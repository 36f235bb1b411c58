/** Who may see a medium, and where that is asked: everything here needs a ticket (promise 7). */
import { GroupData } from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { Consistency } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import type { MediaFacts } from "../../../protos/gen/tricampus/data/v1/media_codec.ts";
import { Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireTicketOf } from "../authority.ts";
import { usersOf } from "../message/client.ts";
import { MEDIA_ID } from "./client.ts";
import { EVERYBODY, FACTS_ROW, grantRow, mediumKey, readFacts } from "./rows.ts";

export interface SightParts {
  readonly kv: KvClient;
  readonly tickets: TicketVerifier;
  /** The service group-data, which knows who is a member. */
  readonly groups: Callee;
}

export interface Asked {
  readonly mediaId: string;
  /** Where the caller was shown it; empty: it is its own, or everybody's. */
  readonly conversationId: string;
}

export class Sight {
  readonly #parts: SightParts;

  constructor(parts: SightParts) {
    this.#parts = parts;
  }

  /** The medium, if the ticket's owner may see it. What one may not see, and what is not there, look alike. */
  async require({ mediaId, conversationId }: Asked, call: Call): Promise<MediaFacts> {
    const { userId } = this.#parts.tickets.userOf(call);
    const { facts, granted } = await this.#read(mediaId, conversationId, call);
    if (facts?.ownerId === userId) return facts;
    const isShown = facts?.finished === true && granted !== undefined;
    const isInside =
      granted === EVERYBODY || (isShown && (await this.isInside(conversationId, call)));
    if (isShown && isInside) return facts;
    throw new RpcError("NOT_FOUND", "there is no such medium, or nobody showed it to you there");
  }

  /** The medium, if it is the ticket's owner's. */
  async requireOwn(mediaId: string, call: Call): Promise<MediaFacts> {
    const { userId } = this.#parts.tickets.userOf(call);
    const { facts } = await this.#read(mediaId, "", call);
    if (facts?.ownerId === userId) return facts;
    throw new RpcError("NOT_FOUND", "there is no such medium of yours");
  }

  async find(mediaId: string, call: Call): Promise<MediaFacts | undefined> {
    return (await this.#read(mediaId, "", call)).facts;
  }

  /** Whether the ticket's owner is in a conversation: 1:1, or a group that it is a member of. */
  async isInside(conversationId: string, call: Call): Promise<boolean> {
    const { tickets, groups } = this.#parts;
    const { userId } = tickets.userOf(call);
    const users = usersOf(conversationId);
    if (users.length > 0) return users.includes(userId);
    if (conversationId === "") return false;
    requireTicketOf(tickets, call, [userId]);
    const question = { groupId: conversationId, userId, consistency: Consistency.STRONG };
    return (await groups.call(GroupData.membership, question, forward(call))).member;
  }

  async #read(mediaId: string, conversationId: string, call: Call) {
    if (!MEDIA_ID.test(mediaId)) {
      throw new RpcError("INVALID_ARGUMENT", "a media id is 64 hex digits: upload first");
    }
    const grants = [EVERYBODY, ...(conversationId === "" ? [] : [conversationId])];
    const rows = [FACTS_ROW, ...grants.map(grantRow)];
    const request = { key: mediumKey(mediaId), rows, marks: [], level: Level.STRONG };
    const found = await this.#parts.kv.getRows(request, forward(call));
    const has = (name: Buffer) => found.rows.find((row) => name.equals(row.row));
    const row = has(FACTS_ROW);
    return {
      facts: row && readFacts(row),
      granted: grants.find((grant) => has(grantRow(grant)) !== undefined),
    };
  }
}
