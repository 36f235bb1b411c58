/** What the worker knows of a group: as read from its table, and as it is after the worker's own steps. */
import {
  type GroupInviteRecord,
  type GroupMemberRecord,
  type GroupProfile,
  makeGroupProfile,
  type ReadGroupReply,
} from "../../../../protos/gen/tricampus/data/v1/group_codec.ts";

export interface GroupState {
  readonly groupId: string;
  readonly profile: GroupProfile;
  /** Members, and those whose leave was not delivered yet, by user id. */
  readonly members: ReadonlyMap<string, GroupMemberRecord>;
  /** Who was invited and has to accept, by user id. */
  readonly invites: ReadonlyMap<string, GroupInviteRecord>;
  readonly lastSequence: number;
  /** Queue slots up to here were worked off. */
  readonly offset: number;
  /**
   * Messages up to here are in every member's inbox. The table's own note is one step late: it goes
   * along with the next step.
   */
  readonly deliveredSequence: number;
}

export function groupStateOf(groupId: string, read: ReadGroupReply): GroupState {
  const { lastSequence, offset, deliveredSequence } = read;
  const members = new Map(read.members.map((member) => [member.userId, member]));
  const invites = new Map(read.invites.map((invite) => [invite.userId, invite]));
  const profile = read.profile ?? makeGroupProfile({});
  return { groupId, profile, members, invites, lastSequence, offset, deliveredSequence };
}

export function isMember(record: GroupMemberRecord | undefined): record is GroupMemberRecord {
  return record !== undefined && record.leftSequence === 0;
}
