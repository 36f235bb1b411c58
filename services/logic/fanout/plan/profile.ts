/** Entries that change what a group or a member is, and not who belongs to it; see decide.ts. */
import { NoticeKind } from "../../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  EntryOutcomeRefusal,
  type GroupEntry,
  GroupEntryKind,
  type GroupMemberRecord,
  type GroupProfile,
} from "../../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { isMember } from "./group-state.ts";
import {
  type Change,
  type DecidedNotice,
  type Decision,
  type GroupView,
  isAtLeast,
  refused,
  roleOf,
} from "./group-view.ts";

const ROLE = refused(EntryOutcomeRefusal.ROLE);
const SUBJECT = refused(EntryOutcomeRefusal.SUBJECT);
const NOTHING_TO_DO = refused(EntryOutcomeRefusal.NOTHING_TO_DO);

export function decideProfile(entry: GroupEntry, group: GroupView): Decision {
  switch (entry.kind) {
    case GroupEntryKind.TRANSFER:
      return transfer(entry, group);
    case GroupEntryKind.SET_ADMIN:
    case GroupEntryKind.UNSET_ADMIN:
      return setAdmin(entry, group);
    case GroupEntryKind.MUTE:
      return mute(entry, group);
    case GroupEntryKind.MUTE_ALL:
    case GroupEntryKind.UNMUTE_ALL:
      return muteAll(entry, group);
    case GroupEntryKind.SET_PROFILE:
      return setProfile(entry, group);
    case GroupEntryKind.SET_NICKNAME:
      return setNickname(entry, group);
    default:
      return refused(EntryOutcomeRefusal.NOT_UNDERSTOOD);
  }
}

/** The member it is done to; undefined when there is none. */
function subjectOf({ subjectId }: GroupEntry, group: GroupView): GroupMemberRecord | undefined {
  const record = group.member(subjectId);
  return isMember(record) ? record : undefined;
}

function changed(notice: DecidedNotice, change: Omit<Change, "notices">): Change {
  return { notices: [notice], ...change };
}

function transfer(entry: GroupEntry, group: GroupView): Decision {
  if (roleOf(group, entry.userId) !== "owner") return ROLE;
  const heir = subjectOf(entry, group);
  if (heir === undefined) return SUBJECT;
  if (heir.userId === entry.userId) return NOTHING_TO_DO;
  const notice = { kind: NoticeKind.OWNER, userId: heir.userId };
  const profile = { ...group.profile, ownerId: heir.userId };
  return changed(notice, { profile, members: [{ ...heir, admin: false }] });
}

function setAdmin(entry: GroupEntry, group: GroupView): Decision {
  if (roleOf(group, entry.userId) !== "owner") return ROLE;
  const record = subjectOf(entry, group);
  if (record === undefined || record.userId === group.profile.ownerId) return SUBJECT;
  const admin = entry.kind === GroupEntryKind.SET_ADMIN;
  if (record.admin === admin) return NOTHING_TO_DO;
  const kind = admin ? NoticeKind.ADMIN : NoticeKind.ADMIN_NO_MORE;
  return changed({ kind, userId: record.userId }, { members: [{ ...record, admin }] });
}

function mute(entry: GroupEntry, group: GroupView): Decision {
  const actor = roleOf(group, entry.userId);
  if (!isAtLeast(actor, "admin")) return ROLE;
  const record = subjectOf(entry, group);
  if (record === undefined || isAtLeast(roleOf(group, record.userId), actor)) return SUBJECT;
  const { untilMs: mutedUntilMs } = entry;
  if (mutedUntilMs === record.mutedUntilMs) return NOTHING_TO_DO;
  const kind = mutedUntilMs > 0 ? NoticeKind.MUTED : NoticeKind.UNMUTED;
  const notice = { kind, userId: record.userId, untilMs: mutedUntilMs };
  return changed(notice, { members: [{ ...record, mutedUntilMs }] });
}

function muteAll(entry: GroupEntry, group: GroupView): Decision {
  if (!isAtLeast(roleOf(group, entry.userId), "admin")) return ROLE;
  const allMuted = entry.kind === GroupEntryKind.MUTE_ALL;
  if (group.profile.allMuted === allMuted) return NOTHING_TO_DO;
  const kind = allMuted ? NoticeKind.ALL_MUTED : NoticeKind.ALL_UNMUTED;
  const profile = { ...group.profile, allMuted };
  return changed({ kind, userId: entry.userId }, { profile });
}

function setProfile(entry: GroupEntry, group: GroupView): Decision {
  if (!isAtLeast(roleOf(group, entry.userId), "admin")) return ROLE;
  const profile = profileWith(group.profile, entry);
  const names = Object.keys(profile) as (keyof GroupProfile)[];
  const different = names.filter((name) => profile[name] !== group.profile[name]);
  if (different.length === 0) return NOTHING_TO_DO;
  return changed({ ...profileNotice(profile, different), userId: entry.userId }, { profile });
}

function profileWith(profile: GroupProfile, { profile: asked }: GroupEntry): GroupProfile {
  if (asked === undefined) return profile;
  const { title, announcement, description, avatarId, joinPolicy } = asked;
  return {
    ...profile,
    title: title ?? profile.title,
    announcement: announcement ?? profile.announcement,
    description: description ?? profile.description,
    avatarId: avatarId ?? profile.avatarId,
    joinPolicy: joinPolicy ?? profile.joinPolicy,
  };
}

/** A notice can carry one text; of several changes at once it says that there are some. */
function profileNotice(
  { title, announcement }: GroupProfile,
  different: readonly (keyof GroupProfile)[],
): { kind: number; text?: string } {
  const only = different.length === 1 ? different[0] : undefined;
  if (only === "title") return { kind: NoticeKind.TITLE, text: title };
  if (only === "announcement") return { kind: NoticeKind.ANNOUNCEMENT, text: announcement };
  return { kind: NoticeKind.PROFILE };
}

function setNickname({ userId, text: nickname }: GroupEntry, group: GroupView): Decision {
  const record = group.member(userId);
  if (!isMember(record)) return refused(EntryOutcomeRefusal.NOT_A_MEMBER);
  if (record.nickname === nickname) return NOTHING_TO_DO;
  const notice = { kind: NoticeKind.NICKNAME, userId, text: nickname };
  return changed(notice, { members: [{ ...record, nickname }] });
}
