/** What the worker knows of a group: as read from its table, and as it is after the worker's own steps. */
import {
  type GroupInviteRecord,
  type GroupMemberRecord,
  type GroupProfile,
  makeGroupProfile,
  type ReadGroupReply,
} from "../../../../protos/gen/tricampus/data/v1/group_codec.ts";

/** Of who left, so many records stay, the newest. */
export const LEFT_KEPT_MAX = 500;

export interface GroupState {
  readonly groupId: string;
  readonly profile: GroupProfile;
  /** Members, those whose leave was not delivered yet, and those of `staysKnown`, by user id. */
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

/** Those who left and may not come back as if nothing had been: who was kicked, or is muted. */
export function staysKnown(
  left: readonly GroupMemberRecord[],
  nowMs: number,
): ReadonlySet<GroupMemberRecord> {
  const counting = left.filter(({ kicked, mutedUntilMs }) => kicked || mutedUntilMs > nowMs);
  if (counting.length <= LEFT_KEPT_MAX) return new Set(counting);
  counting.sort((one, other) => other.leftSequence - one.leftSequence);
  return new Set(counting.slice(0, LEFT_KEPT_MAX));
}
