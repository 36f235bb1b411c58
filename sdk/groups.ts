/**
 * Groups as the client offers them. Every change has a request id, so that one whose answer was lost
 * can be asked for again, by the client itself or by the application, and happens once.
 */
import {
  Group,
  type GroupInfo,
  type InviteOutcome,
  type JoinPolicy,
  type ListMembersReply,
  makeSetGroupProfileRequest,
} from "../protos/gen/tricampus/client/v1/group_codec.ts";
import { REQUEST_OPTIONS, type Requester } from "./requester.ts";

export interface GroupProfileFields {
  readonly title?: string;
  readonly announcement?: string;
  readonly description?: string;
  readonly avatarId?: string;
  readonly joinPolicy?: JoinPolicy;
}

/** Resolves to the sequence number of the notice that all members get; 0: there was nothing to do. */
type Changed = Promise<number>;

export class Groups {
  readonly #link: Requester;

  constructor(link: Requester) {
    this.#link = link;
  }

  /** Resolves to the group's id. */
  async create(
    title: string,
    members: readonly string[],
    clientRequestId: string = crypto.randomUUID(),
  ): Promise<string> {
    const request = { title, members: [...members], clientRequestId };
    return (await this.#link.request(Group.create, request, REQUEST_OPTIONS)).groupId;
  }

  get(groupId: string): Promise<GroupInfo> {
    return this.#link.request(Group.get, { groupId }, REQUEST_OPTIONS);
  }

  listMembers(groupId: string): Promise<ListMembersReply> {
    return this.#link.request(Group.listMembers, { groupId }, REQUEST_OPTIONS);
  }

  /** Resolves to the sequence number at which the user is a member. */
  async join(groupId: string, clientRequestId: string = crypto.randomUUID()): Promise<number> {
    const request = { groupId, clientRequestId };
    return (await this.#link.request(Group.join, request, REQUEST_OPTIONS)).sequence;
  }

  async leave(groupId: string, clientRequestId: string = crypto.randomUUID()): Promise<number> {
    const request = { groupId, clientRequestId };
    return (await this.#link.request(Group.leave, request, REQUEST_OPTIONS)).sequence;
  }

  /** Resolves to what became of each, in order. */
  async invite(
    groupId: string,
    userIds: readonly string[],
    clientRequestId: string = crypto.randomUUID(),
  ): Promise<InviteOutcome[]> {
    const request = { groupId, userIds: [...userIds], clientRequestId };
    return (await this.#link.request(Group.invite, request, REQUEST_OPTIONS)).outcomes;
  }

  /** Resolves to the sequence number at which the user is a member. */
  async acceptInvite(
    { groupId, inviteId }: { groupId: string; inviteId: string },
    clientRequestId: string = crypto.randomUUID(),
  ): Promise<number> {
    const request = { groupId, inviteId, clientRequestId };
    return (await this.#link.request(Group.acceptInvite, request, REQUEST_OPTIONS)).sequence;
  }

  async kick(groupId: string, userId: string, id: string = crypto.randomUUID()): Changed {
    const request = { groupId, userId, clientRequestId: id };
    return (await this.#link.request(Group.kick, request, REQUEST_OPTIONS)).sequence;
  }

  async transfer(groupId: string, userId: string, id: string = crypto.randomUUID()): Changed {
    const request = { groupId, userId, clientRequestId: id };
    return (await this.#link.request(Group.transfer, request, REQUEST_OPTIONS)).sequence;
  }

  async setAdmin(
    groupId: string,
    { userId, admin }: { userId: string; admin: boolean },
    clientRequestId: string = crypto.randomUUID(),
  ): Changed {
    const request = { groupId, userId, admin, clientRequestId };
    return (await this.#link.request(Group.setAdmin, request, REQUEST_OPTIONS)).sequence;
  }

  /** `forMs`: up to 30 days; 0: not any more. */
  async mute(
    groupId: string,
    { userId, forMs }: { userId: string; forMs: number },
    clientRequestId: string = crypto.randomUUID(),
  ): Changed {
    const request = { groupId, userId, forMs, clientRequestId };
    return (await this.#link.request(Group.mute, request, REQUEST_OPTIONS)).sequence;
  }

  async muteAll(groupId: string, muted: boolean, id: string = crypto.randomUUID()): Changed {
    const request = { groupId, muted, clientRequestId: id };
    return (await this.#link.request(Group.muteAll, request, REQUEST_OPTIONS)).sequence;
  }

  /** Changes what is given. */
  async setProfile(
    groupId: string,
    fields: GroupProfileFields,
    clientRequestId: string = crypto.randomUUID(),
  ): Changed {
    const request = makeSetGroupProfileRequest({ groupId, clientRequestId, ...fields });
    return (await this.#link.request(Group.setProfile, request, REQUEST_OPTIONS)).sequence;
  }

  async setNickname(groupId: string, nickname: string, id: string = crypto.randomUUID()): Changed {
    const request = { groupId, nickname, clientRequestId: id };
    return (await this.#link.request(Group.setNickname, request, REQUEST_OPTIONS)).sequence;
  }

  async dismiss(groupId: string, clientRequestId: string = crypto.randomUUID()): Changed {
    const request = { groupId, clientRequestId };
    return (await this.#link.request(Group.dismiss, request, REQUEST_OPTIONS)).sequence;
  }
}
