/**
 * Inviting: users become members at once, or, when the group is large, get a message from the one who
 * invites and have to accept. That message is an ordinary 1:1 message: what the other side lets the
 * caller send, and its way to devices that are offline, are as for any other.
 */
import { createHash } from "node:crypto";
import { makeContent } from "../../../protos/gen/tricampus/client/v1/content_codec.ts";
import {
  type InviteOutcome,
  InviteOutcomeKind,
  type InviteReply,
  type InviteRequest,
} from "../../../protos/gen/tricampus/client/v1/group_codec.ts";
import { makeSendRequest, Text } from "../../../protos/gen/tricampus/client/v1/text_codec.ts";
import {
  type EntryOutcome,
  EntryOutcomeRefusal,
  GroupData,
  GroupEntryKind,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { Consistency } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireClientId, requireId } from "../arguments.ts";
import { type GroupChanges, sequenceOf } from "./changes.ts";
import { refusingInvitations } from "./refusing.ts";

const INVITED_AT_ONCE_MAX = 50;

export interface InvitationParts {
  readonly tickets: TicketVerifier;
  readonly changes: GroupChanges;
  readonly groups: Callee;
  readonly text: Callee;
  /** The service contact, which knows who may reach whom. */
  readonly contacts: Callee;
  readonly membersMax: number;
  readonly inviteExpiresMs: number;
}

export class Invitations {
  readonly #parts: InvitationParts;

  constructor(parts: InvitationParts) {
    this.#parts = parts;
  }

  async invite(request: InviteRequest, call: Call): Promise<InviteReply> {
    const { groupId, clientRequestId } = request;
    const userIds = [...new Set(request.userIds)];
    requireClientId(clientRequestId, "a client request id");
    requireArgument(
      userIds.length >= 1 && userIds.length <= INVITED_AT_ONCE_MAX,
      `1 to ${INVITED_AT_ONCE_MAX} users can be invited at once`,
    );
    for (const userId of userIds) requireId(userId, "a user id");
    const untilMs = Date.now() + this.#parts.inviteExpiresMs;
    const refusing = await refusingInvitations(this.#parts.contacts, userIds, forward(call));
    const invited = userIds.filter((userId) => !refusing.has(userId));
    const asked = invited.map((subjectId) => ({
      ...{ kind: GroupEntryKind.INVITE, groupId, clientRequestId, subjectId, untilMs },
    }));
    const outcomes = asked.length === 0 ? [] : await this.#parts.changes.askAll(asked, call);
    const told: InviteOutcome[] = [];
    for (const userId of userIds) {
      const outcome = outcomes[invited.indexOf(userId)];
      if (outcome === undefined) {
        told.push({ userId, kind: InviteOutcomeKind.REFUSED, sequence: 0 });
      } else {
        told.push(await this.#outcome(outcome, { groupId, userId, untilMs, call }));
      }
    }
    return { outcomes: told };
  }

  async #outcome(
    outcome: EntryOutcome,
    facts: { groupId: string; userId: string; untilMs: number; call: Call },
  ): Promise<InviteOutcome> {
    const { groupId, userId } = facts;
    switch (outcome.refusal) {
      case EntryOutcomeRefusal.FULL:
      case EntryOutcomeRefusal.TOO_MANY_INVITES:
        return { userId, kind: InviteOutcomeKind.FULL, sequence: 0 };
      // It was kicked, and the caller is no admin.
      case EntryOutcomeRefusal.NOT_INVITED:
        return { userId, kind: InviteOutcomeKind.REFUSED, sequence: 0 };
      case EntryOutcomeRefusal.MEMBER_ALREADY:
        return { userId, kind: InviteOutcomeKind.MEMBER_ALREADY, sequence: outcome.sequence };
      case EntryOutcomeRefusal.HAS_TO_ACCEPT: {
        const untilMs = outcome.untilMs || facts.untilMs;
        const isSent = await this.#sendInvitation(outcome.entryId, { ...facts, untilMs });
        const kind = isSent ? InviteOutcomeKind.INVITED : InviteOutcomeKind.REFUSED;
        return { userId, kind, sequence: 0 };
      }
      default: {
        const sequence = sequenceOf(outcome, groupId, this.#parts.membersMax);
        return { userId, kind: InviteOutcomeKind.JOINED, sequence };
      }
    }
  }

  /** false: the user takes no messages from the caller, or is gone. */
  async #sendInvitation(
    inviteId: string,
    facts: { groupId: string; userId: string; untilMs: number; call: Call },
  ): Promise<boolean> {
    const { groupId, userId, untilMs: expiresAtMs, call } = facts;
    const title = await this.#title(groupId, call);
    const invite = { groupId, title, inviteId, expiresAtMs };
    const message = makeSendRequest({
      // The same for a repeated request, so that it is sent once.
      clientMessageId: `invite:${createHash("sha256").update(inviteId).digest("base64url")}`,
      to: { case: "userId", value: userId },
      content: makeContent({ body: { case: "invite", value: invite } }),
    });
    try {
      await this.#parts.text.call(Text.send, message, forward(call));
      return true;
    } catch (error) {
      if (["PERMISSION_DENIED", "NOT_FOUND"].includes(RpcError.from(error).code)) return false;
      throw error;
    }
  }

  async #title(groupId: string, call: Call): Promise<string> {
    const { userId } = this.#parts.tickets.userOf(call);
    const question = { groupId, userId, consistency: Consistency.ANY };
    const answer = await this.#parts.groups.call(GroupData.membership, question, forward(call));
    return answer.profile?.title ?? "";
  }
}
