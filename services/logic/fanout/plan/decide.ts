/**
 * What becomes of one entry of a group's stream, decided where it stands there: nobody else changes the
 * group meanwhile, so roles, membership and invitations are what all entries before have made of them.
 *
 * Whether a message may be sent was decided when it was accepted (M4); its entry is numbered.
 */
import { NoticeKind } from "../../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  EntryOutcomeRefusal,
  type GroupEntry,
  GroupEntryKind,
  type GroupMemberRecord,
  makeGroupMemberRecord,
} from "../../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { isMember } from "./group-state.ts";
import {
  type Change,
  type DecidedNotice,
  type Decision,
  type GroupLimits,
  type GroupView,
  isAtLeast,
  refused,
  roleOf,
} from "./group-view.ts";
import { decideProfile } from "./profile.ts";

const MESSAGE: Change = { notices: [] };

export function decide(entry: GroupEntry, group: GroupView, limits: GroupLimits): Decision {
  if (group.profile.dismissed) return refused(EntryOutcomeRefusal.DISMISSED);
  switch (entry.kind) {
    case GroupEntryKind.MESSAGE:
    case GroupEntryKind.RECALL:
      return MESSAGE;
    case GroupEntryKind.CREATED:
      return { notices: [{ kind: NoticeKind.CREATED, userId: entry.userId }] };
    case GroupEntryKind.JOIN:
      return join(entry, group, limits);
    case GroupEntryKind.LEAVE:
      return leave(entry, group);
    case GroupEntryKind.INVITE:
      return invite(entry, group, limits);
    case GroupEntryKind.KICK:
      return kick(entry, group);
    case GroupEntryKind.DISMISS:
      return dismiss(entry, group);
    default:
      return decideProfile(entry, group);
  }
}

function join(entry: GroupEntry, group: GroupView, limits: GroupLimits): Decision {
  const { userId } = entry;
  const record = group.member(userId);
  if (isMember(record)) return refused(EntryOutcomeRefusal.MEMBER_ALREADY, record.sinceSequence);
  const refusal = mayJoin(entry, group);
  if (refusal !== undefined) return refused(refusal);
  if (group.memberCount >= limits.membersMax) return refused(EntryOutcomeRefusal.FULL);
  return joined(userId, group);
}

const OPEN = 1;

/** Undefined: yes. An invitation of somebody who was kicked is an admin's: see invite. */
function mayJoin({ userId, inviteId, acceptedAtMs }: GroupEntry, group: GroupView) {
  if (group.profile.joinPolicy <= OPEN && !wasKicked(group, userId)) return undefined;
  const invitation = group.invite(userId);
  if (invitation === undefined || invitation.inviteId !== inviteId) {
    return EntryOutcomeRefusal.NOT_INVITED;
  }
  const isLate = acceptedAtMs > invitation.expiresAtMs;
  return isLate ? EntryOutcomeRefusal.INVITE_EXPIRED : undefined;
}

function wasKicked(group: GroupView, userId: string): boolean {
  return group.member(userId)?.kicked === true;
}

function joined(userId: string, group: GroupView): Change {
  // A mute is not over because the member went and came back.
  const mutedUntilMs = group.member(userId)?.mutedUntilMs ?? 0;
  const sinceSequence = group.nextSequence;
  const record = makeGroupMemberRecord({ userId, sinceSequence, mutedUntilMs });
  const uninvited = group.invite(userId) === undefined ? [] : [userId];
  return { notices: [{ kind: NoticeKind.JOINED, userId }], members: [record], uninvited };
}

function leave({ userId }: GroupEntry, group: GroupView): Decision {
  const record = group.member(userId);
  if (!isMember(record)) return refused(EntryOutcomeRefusal.NOT_A_MEMBER);
  const notices: DecidedNotice[] = [{ kind: NoticeKind.LEFT, userId }];
  const members = [left(record, group)];
  if (group.profile.ownerId !== userId) return { notices, members };
  const heir = heirOf(group, userId);
  if (heir === undefined)
    return { notices, members, profile: { ...group.profile, dismissed: true } };
  notices.push({ kind: NoticeKind.OWNER, userId: heir.userId });
  const profile = { ...group.profile, ownerId: heir.userId };
  return { notices, members: [...members, { ...heir, admin: false }], profile };
}

/** What stays of a member is what still counts when it comes back. */
function left(record: GroupMemberRecord, { nextSequence }: GroupView): GroupMemberRecord {
  return { ...record, leftSequence: nextSequence, admin: false, nickname: "" };
}

/** The admin of longest standing, or else the member. */
function heirOf(group: GroupView, owner: string): GroupMemberRecord | undefined {
  let heir: GroupMemberRecord | undefined;
  for (const record of group.members()) {
    if (!isMember(record) || record.userId === owner) continue;
    if (heir === undefined || isBefore(record, heir)) heir = record;
  }
  return heir;
}

function isBefore(one: GroupMemberRecord, other: GroupMemberRecord): boolean {
  if (one.admin !== other.admin) return one.admin;
  if (one.sinceSequence !== other.sinceSequence) return one.sinceSequence < other.sinceSequence;
  return one.userId < other.userId;
}

const INVITED_BY_ADMIN = 3;

function invite(entry: GroupEntry, group: GroupView, limits: GroupLimits): Decision {
  const { subjectId, userId: inviterId, id: inviteId, untilMs: expiresAtMs } = entry;
  const least = group.profile.joinPolicy === INVITED_BY_ADMIN ? "admin" : "member";
  if (!isAtLeast(roleOf(group, inviterId), least)) return refused(EntryOutcomeRefusal.ROLE);
  const record = group.member(subjectId);
  if (isMember(record)) return refused(EntryOutcomeRefusal.MEMBER_ALREADY, record.sinceSequence);
  if (wasKicked(group, subjectId) && !isAtLeast(roleOf(group, inviterId), "admin")) {
    return refused(EntryOutcomeRefusal.NOT_INVITED);
  }
  if (group.memberCount >= limits.membersMax) return refused(EntryOutcomeRefusal.FULL);
  if (group.memberCount < limits.acceptAboveMembers) return joined(subjectId, group);
  if (group.inviteCount >= limits.invitesMax && group.invite(subjectId) === undefined) {
    return refused(EntryOutcomeRefusal.TOO_MANY_INVITES);
  }
  return {
    refusal: EntryOutcomeRefusal.HAS_TO_ACCEPT,
    invite: { userId: subjectId, inviteId, inviterId, expiresAtMs },
  };
}

function kick({ userId, subjectId }: GroupEntry, group: GroupView): Decision {
  const actor = roleOf(group, userId);
  if (!isAtLeast(actor, "admin")) return refused(EntryOutcomeRefusal.ROLE);
  const record = group.member(subjectId);
  if (!isMember(record) || isAtLeast(roleOf(group, subjectId), actor)) {
    return refused(EntryOutcomeRefusal.SUBJECT);
  }
  const members = [{ ...left(record, group), kicked: true }];
  return { notices: [{ kind: NoticeKind.KICKED, userId: subjectId }], members };
}

function dismiss({ userId }: GroupEntry, group: GroupView): Decision {
  if (roleOf(group, userId) !== "owner") return refused(EntryOutcomeRefusal.ROLE);
  const leftSequence = group.nextSequence;
  const members = [...group.members()].filter(isMember).map((m) => ({ ...m, leftSequence }));
  const profile = { ...group.profile, dismissed: true };
  return { notices: [{ kind: NoticeKind.DISMISSED, userId }], members, profile };
}
