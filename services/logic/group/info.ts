/** A group and its members as clients see them. */
import {
  type GroupInfo,
  type GroupMember,
  GroupRole,
} from "../../../protos/gen/tricampus/client/v1/group_codec.ts";
import type {
  GroupMemberRecord,
  ReadGroupReply,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";

export function infoOf(groupId: string, group: ReadGroupReply, userId: string): GroupInfo {
  const { title, ownerId, announcement, description, avatarId, joinPolicy, createdAtMs, allMuted } =
    group.profile!;
  const members = group.members.filter((member) => member.leftSequence === 0);
  const own = members.find((member) => member.userId === userId);
  return {
    ...{ groupId, title, ownerId, announcement, description, avatarId, joinPolicy },
    ...{ allMuted, members: members.length, createdAtMs },
    own: own && memberOf(own, ownerId),
  };
}

export function memberOf(record: GroupMemberRecord, ownerId: string): GroupMember {
  const { userId, sinceSequence, nickname, mutedUntilMs } = record;
  return { userId, sinceSequence, role: roleOf(record, ownerId), nickname, mutedUntilMs };
}

function roleOf({ userId, admin }: GroupMemberRecord, ownerId: string): GroupRole {
  if (userId === ownerId) return GroupRole.OWNER;
  return admin ? GroupRole.ADMIN : GroupRole.MEMBER;
}
