/** What decisions about a group's entries are made from, and what they come to. */
import type {
  GroupInviteRecord,
  GroupMemberRecord,
  GroupProfile,
} from "../../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { isMember } from "./group-state.ts";

/** The group as the entries before left it. */
export interface GroupView {
  readonly profile: GroupProfile;
  /** The number that the next message or notice gets. */
  readonly nextSequence: number;
  readonly memberCount: number;
  readonly inviteCount: number;
  member(userId: string): GroupMemberRecord | undefined;
  members(): Iterable<GroupMemberRecord>;
  invite(userId: string): GroupInviteRecord | undefined;
}

export interface GroupLimits {
  readonly membersMax: number;
  /** With more members than this, who is invited has to accept. */
  readonly acceptAboveMembers: number;
  readonly invitesMax: number;
}

export interface DecidedNotice {
  readonly kind: number;
  readonly userId: string;
  readonly untilMs?: number;
  readonly text?: string;
}

/** The entry takes effect. */
export interface Change {
  /** In order, each with a number of its own; empty: the entry itself is a message. */
  readonly notices: readonly DecidedNotice[];
  readonly members?: readonly GroupMemberRecord[];
  readonly profile?: GroupProfile;
  /** Users whose invitation is over. */
  readonly uninvited?: readonly string[];
}

/** The entry makes no message. */
export interface Refusal {
  readonly refusal: number;
  readonly sequence?: number;
  readonly invite?: GroupInviteRecord;
}

export type Decision = Change | Refusal;

export function isRefusal(decision: Decision): decision is Refusal {
  return "refusal" in decision;
}

const RANK = { stranger: 0, member: 1, admin: 2, owner: 3 } as const;
export type Role = keyof typeof RANK;

export function roleOf(group: Pick<GroupView, "profile" | "member">, userId: string): Role {
  const record = group.member(userId);
  if (!isMember(record)) return "stranger";
  if (group.profile.ownerId === userId) return "owner";
  return record.admin ? "admin" : "member";
}

export function isAtLeast(role: Role, other: Role): boolean {
  return RANK[role] >= RANK[other];
}

export function refused(refusal: number, sequence = 0): Refusal {
  return { refusal, sequence };
}
