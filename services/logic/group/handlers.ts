/**
 * Groups: making one, joining, leaving, listing members.
 *
 * Joins and leaves pass through the group's queue stream like its messages, so that everybody agrees
 * on which messages a member gets. The caller waits until fan-out has worked off its entry, and asks
 * with growing pauses instead of being called back: the answer lies in the group's table whoever
 * wrote it, so neither side needs to know or outlive the other.
 */

import type {
  CreateGroupReply,
  CreateGroupRequest,
  JoinGroupReply,
  JoinGroupRequest,
  LeaveGroupReply,
  LeaveGroupRequest,
  ListMembersReply,
  ListMembersRequest,
} from "../../../protos/gen/tricampus/client/v1/group_codec.ts";
import {
  type EntryOutcome,
  EntryOutcomeRefusal,
  GroupData,
  GroupEntryKind,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { Consistency } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { type Call, forward, remainingMs } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { IdMaker } from "../../svrkit/ids.ts";
import { rest } from "../../svrkit/rest.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireClientId, requireId } from "../arguments.ts";
import type { GroupStreams } from "../group-streams.ts";
import { groupIdOf } from "./group-id.ts";

const TITLE_CHARACTERS_MAX = 128;
const PAUSE_FIRST_MS = 2;
const PAUSE_LAST_MS = 50;

export interface GroupParts {
  readonly tickets: TicketVerifier;
  readonly ids: IdMaker;
  readonly dc: number;
  readonly groups: Callee;
  readonly streams: Pick<GroupStreams, "append">;
  readonly membersMax: number;
}

export class GroupHandlers {
  readonly #parts: GroupParts;

  constructor(parts: GroupParts) {
    this.#parts = parts;
  }

  async create(request: CreateGroupRequest, call: Call): Promise<CreateGroupReply> {
    const { userId: creatorId } = this.#parts.tickets.userOf(call);
    const { title, clientRequestId } = request;
    requireClientId(clientRequestId, "a client request id");
    const characters = [...title.slice(0, 2 * TITLE_CHARACTERS_MAX + 1)].length;
    requireArgument(
      characters >= 1 && characters <= TITLE_CHARACTERS_MAX,
      `a group's title has 1 to ${TITLE_CHARACTERS_MAX} characters`,
    );
    const members = new Set([creatorId, ...request.members]);
    if (members.size > this.#parts.membersMax) throw full(this.#parts.membersMax);
    for (const member of members) requireId(member, "a user id");
    const groupId = groupIdOf(this.#parts.dc, creatorId, clientRequestId);
    const createdAtMs = Date.now();
    const group = { groupId, title, creatorId, members: [...members], createdAtMs };
    await this.#parts.groups.call(GroupData.create, group, forward(call));
    await this.#append(groupId, GroupEntryKind.CREATED, {
      ...{ id: `${groupId}:created`, userId: creatorId, call },
    });
    return { groupId };
  }

  async join({ groupId }: JoinGroupRequest, call: Call): Promise<JoinGroupReply> {
    const outcome = await this.#change(groupId, GroupEntryKind.JOIN, call);
    switch (outcome.refusal) {
      case EntryOutcomeRefusal.UNSPECIFIED:
      case EntryOutcomeRefusal.MEMBER_ALREADY:
        return { sequence: outcome.sequence };
      case EntryOutcomeRefusal.FULL:
        throw full(this.#parts.membersMax);
      default:
        throw new RpcError("INTERNAL", `a join was refused with ${outcome.refusal}`);
    }
  }

  async leave({ groupId }: LeaveGroupRequest, call: Call): Promise<LeaveGroupReply> {
    const outcome = await this.#change(groupId, GroupEntryKind.LEAVE, call);
    switch (outcome.refusal) {
      case EntryOutcomeRefusal.UNSPECIFIED:
        return { sequence: outcome.sequence };
      case EntryOutcomeRefusal.NOT_A_MEMBER:
        throw new RpcError("FAILED_PRECONDITION", `you are not a member of group ${groupId}`);
      default:
        throw new RpcError("INTERNAL", `a leave was refused with ${outcome.refusal}`);
    }
  }

  async listMembers({ groupId }: ListMembersRequest, call: Call): Promise<ListMembersReply> {
    this.#parts.tickets.userOf(call);
    requireId(groupId, "a group id");
    const request = { groupId, consistency: Consistency.STRONG };
    const group = await this.#parts.groups.call(GroupData.read, request, forward(call));
    if (!group.exists) throw new RpcError("NOT_FOUND", `there is no group ${groupId}`);
    const members = group.members.filter((member) => member.leftSequence === 0);
    return {
      title: group.title,
      members: members.map(({ userId, sinceSequence }) => ({ userId, sinceSequence })),
    };
  }

  /** Puts a join or leave of the caller into the stream and waits for what becomes of it. */
  async #change(groupId: string, kind: GroupEntryKind, call: Call): Promise<EntryOutcome> {
    const { userId } = this.#parts.tickets.userOf(call);
    requireId(groupId, "a group id");
    const question = { groupId, userId, consistency: Consistency.STRONG };
    const answer = await this.#parts.groups.call(GroupData.membership, question, forward(call));
    if (!answer.groupExists) throw new RpcError("NOT_FOUND", `there is no group ${groupId}`);
    const id = this.#entryId(userId, call);
    await this.#append(groupId, kind, { id, userId, call });
    return this.#outcome(groupId, id, call);
  }

  /** A repeated call has its operation id, and with it the entry and the outcome of the first. */
  #entryId(userId: string, { operationId }: Call): string {
    if (operationId.length === 0) return this.#parts.ids.next();
    return `${userId}:${Buffer.from(operationId).toString("hex")}`;
  }

  async #append(
    groupId: string,
    kind: GroupEntryKind,
    { id, userId, call }: { id: string; userId: string; call: Call },
  ): Promise<void> {
    const entry = { kind, id, userId, clientMessageId: "", text: "", acceptedAtMs: Date.now() };
    await this.#parts.streams.append(groupId, entry, forward(call));
  }

  async #outcome(groupId: string, entryId: string, call: Call): Promise<EntryOutcome> {
    for (let pauseMs = PAUSE_FIRST_MS; ; pauseMs = Math.min(PAUSE_LAST_MS, pauseMs * 2)) {
      if (remainingMs(call) <= pauseMs) {
        const message =
          "the request is in the group's queue and was not worked off in time: ask again";
        throw new RpcError("DEADLINE_EXCEEDED", message);
      }
      await rest(pauseMs);
      const request = { groupId, entryIds: [entryId] };
      const reply = await this.#parts.groups.call(GroupData.entryOutcomes, request, forward(call));
      const [outcome] = reply.outcomes;
      if (outcome?.done === true) return outcome;
    }
  }
}

function full(membersMax: number): RpcError {
  return new RpcError(
    "RESOURCE_EXHAUSTED",
    `the group is full: ${membersMax} members are the limit`,
  );
}
