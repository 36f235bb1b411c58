/** Groups: what clients may ask. Changes pass through the group's stream: see changes.ts. */
import {
  type AcceptInviteRequest,
  type CreateGroupReply,
  type CreateGroupRequest,
  type DismissRequest,
  type GetGroupRequest,
  type GroupChangeReply,
  type GroupInfo,
  type JoinGroupReply,
  type JoinGroupRequest,
  type KickRequest,
  type LeaveGroupReply,
  type LeaveGroupRequest,
  type ListMembersReply,
  type ListMembersRequest,
  type MuteAllRequest,
  type MuteRequest,
  makeSetGroupProfileRequest,
  type SetAdminRequest,
  type SetGroupProfileRequest,
  type SetNicknameRequest,
  type TransferRequest,
} from "../../../protos/gen/tricampus/client/v1/group_codec.ts";
import {
  GroupData,
  GroupEntryKind,
  makeGroupEntry,
  type ReadGroupReply,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { Consistency } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { accepted, type Call, forward } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import {
  requireCharacters,
  requireClientId,
  requireId,
  requireMediaIdOrNone,
} from "../arguments.ts";
import { type AskedChange, full, type GroupChanges, sequenceOf } from "./changes.ts";
import { groupIdOf } from "./group-id.ts";
import { infoOf, memberOf } from "./info.ts";
import { refusingInvitations } from "./refusing.ts";

const TITLE_CHARACTERS_MAX = 128;
const ANNOUNCEMENT_CHARACTERS_MAX = 4_000;
const DESCRIPTION_CHARACTERS_MAX = 500;
const NICKNAME_CHARACTERS_MAX = 64;
const MUTE_MS_MAX = 30 * 24 * 3_600_000;

export interface GroupParts {
  readonly tickets: TicketVerifier;
  readonly changes: GroupChanges;
  readonly dc: number;
  readonly groups: Callee;
  /** The service contact, which knows who may reach whom. */
  readonly contacts: Callee;
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
    requireTitle(title);
    const members = new Set([creatorId, ...request.members]);
    if (members.size > this.#parts.membersMax) throw full(this.#parts.membersMax);
    for (const member of members) requireId(member, "a user id");
    const others = [...members].filter((member) => member !== creatorId);
    const refusing = await refusingInvitations(this.#parts.contacts, others, forward(call));
    if (refusing.size > 0) {
      const names = [...refusing].slice(0, 10).join(", ");
      throw new RpcError("PERMISSION_DENIED", `not members of groups of yours: ${names}`);
    }
    const groupId = groupIdOf(this.#parts.dc, creatorId, clientRequestId);
    const createdAtMs = Date.now();
    const group = { groupId, title, creatorId, members: [...members], createdAtMs };
    await this.#parts.groups.call(GroupData.create, group, forward(call));
    const facts = { id: `${groupId}:created`, userId: creatorId, acceptedAtMs: createdAtMs };
    const entry = makeGroupEntry({ kind: GroupEntryKind.CREATED, ...facts });
    await this.#parts.changes.append(groupId, entry, accepted(call));
    return { groupId };
  }

  async get({ groupId }: GetGroupRequest, call: Call): Promise<GroupInfo> {
    const { userId } = this.#parts.tickets.userOf(call);
    return infoOf(groupId, await this.#read(groupId, call), userId);
  }

  async listMembers({ groupId }: ListMembersRequest, call: Call): Promise<ListMembersReply> {
    const { profile, members } = await this.#read(groupId, call);
    const present = members.filter((member) => member.leftSequence === 0);
    return {
      title: profile!.title,
      members: present.map((member) => memberOf(member, profile!.ownerId)),
    };
  }

  async #read(groupId: string, call: Call): Promise<ReadGroupReply> {
    this.#parts.tickets.userOf(call);
    requireId(groupId, "a group id");
    const request = { groupId, consistency: Consistency.STRONG };
    const group = await this.#parts.groups.call(GroupData.read, request, forward(call));
    if (group.profile !== undefined) return group;
    throw new RpcError("NOT_FOUND", `there is no group ${groupId}`);
  }

  async join(request: JoinGroupRequest, call: Call): Promise<JoinGroupReply> {
    return this.#change({ kind: GroupEntryKind.JOIN, ...request }, call);
  }

  async acceptInvite(request: AcceptInviteRequest, call: Call): Promise<JoinGroupReply> {
    requireArgument(request.inviteId !== "", "the invitation has no id");
    return this.#change({ kind: GroupEntryKind.JOIN, ...request }, call);
  }

  async leave(request: LeaveGroupRequest, call: Call): Promise<LeaveGroupReply> {
    return this.#change({ kind: GroupEntryKind.LEAVE, ...request }, call);
  }

  kick(request: KickRequest, call: Call): Promise<GroupChangeReply> {
    return this.#changeMember(GroupEntryKind.KICK, request, call);
  }

  transfer(request: TransferRequest, call: Call): Promise<GroupChangeReply> {
    return this.#changeMember(GroupEntryKind.TRANSFER, request, call);
  }

  setAdmin({ admin, ...request }: SetAdminRequest, call: Call): Promise<GroupChangeReply> {
    const kind = admin ? GroupEntryKind.SET_ADMIN : GroupEntryKind.UNSET_ADMIN;
    return this.#changeMember(kind, request, call);
  }

  mute({ forMs, ...request }: MuteRequest, call: Call): Promise<GroupChangeReply> {
    requireArgument(forMs <= MUTE_MS_MAX, "a member is muted for 30 days at most");
    const untilMs = forMs === 0 ? 0 : Date.now() + forMs;
    return this.#changeMember(GroupEntryKind.MUTE, request, call, { untilMs, forMs });
  }

  muteAll({ muted, ...request }: MuteAllRequest, call: Call): Promise<GroupChangeReply> {
    const kind = muted ? GroupEntryKind.MUTE_ALL : GroupEntryKind.UNMUTE_ALL;
    return this.#change({ kind, ...request }, call);
  }

  setProfile(request: SetGroupProfileRequest, call: Call): Promise<GroupChangeReply> {
    checkProfile(request);
    const { groupId, clientRequestId, ...fields } = request;
    const profile = makeSetGroupProfileRequest(fields);
    return this.#change(
      { kind: GroupEntryKind.SET_PROFILE, groupId, clientRequestId, profile },
      call,
    );
  }

  setNickname(request: SetNicknameRequest, call: Call): Promise<GroupChangeReply> {
    const { nickname: text, ...facts } = request;
    requireCharacters(text, "a nickname", { max: NICKNAME_CHARACTERS_MAX });
    return this.#change({ kind: GroupEntryKind.SET_NICKNAME, ...facts, text }, call);
  }

  dismiss(request: DismissRequest, call: Call): Promise<GroupChangeReply> {
    return this.#change({ kind: GroupEntryKind.DISMISS, ...request }, call);
  }

  #changeMember(
    kind: number,
    request: { groupId: string; userId: string; clientRequestId: string },
    call: Call,
    facts: Partial<AskedChange> = {},
  ): Promise<GroupChangeReply> {
    const { groupId, userId: subjectId, clientRequestId } = request;
    requireId(subjectId, "a user id");
    return this.#change({ ...facts, kind, groupId, clientRequestId, subjectId }, call);
  }

  async #change(asked: AskedChange, call: Call): Promise<{ sequence: number }> {
    const outcome = await this.#parts.changes.ask(asked, call);
    return { sequence: sequenceOf(outcome, asked.groupId, this.#parts.membersMax) };
  }
}

function requireTitle(title: string): void {
  requireCharacters(title, "a group's title", { min: 1, max: TITLE_CHARACTERS_MAX });
}

function checkProfile(request: SetGroupProfileRequest): void {
  const { title, announcement, description, avatarId } = request;
  if (title !== undefined) requireTitle(title);
  const max = ANNOUNCEMENT_CHARACTERS_MAX;
  if (announcement !== undefined) requireCharacters(announcement, "an announcement", { max });
  if (description !== undefined) {
    requireCharacters(description, "a description", { max: DESCRIPTION_CHARACTERS_MAX });
  }
  if (avatarId !== undefined) requireMediaIdOrNone(avatarId, "the avatar's media id");
}
