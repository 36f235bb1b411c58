/** Who may change what in a group: every entry, done by everybody. */
import { expect, test } from "vitest";
import { NoticeKind } from "../../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  EntryOutcomeRefusal,
  type GroupEntry,
  GroupEntryKind,
  makeGroupEntry,
  makeGroupInviteRecord,
  makeGroupMemberRecord,
  makeGroupProfile,
} from "../../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { decide } from "./decide.ts";
import { type GroupView, isRefusal } from "./group-view.ts";

const LIMITS = { membersMax: 6, acceptAboveMembers: 6, invitesMax: 2 };

interface Situation {
  joinPolicy?: number;
  dismissed?: boolean;
  allMuted?: boolean;
  members?: number;
}

/**
 * olga owns it, adam and ada are admins, max and mia members; ivan is invited, sam is a stranger. karl was
 * kicked, and kim, who was too, is invited; lou left while muted.
 */
function group({ members, ...profile }: Situation = {}): GroupView {
  const records = new Map(
    ["olga", "adam", "ada", "max", "mia"].map((userId, i) => {
      const admin = userId.startsWith("ad");
      return [userId, makeGroupMemberRecord({ userId, sinceSequence: i + 1, admin })];
    }),
  );
  const present = records.size;
  for (const [userId, facts] of [
    ...[["karl", { kicked: true }] as const, ["kim", { kicked: true }] as const],
    ["lou", { mutedUntilMs: 70 }] as const,
  ]) {
    records.set(userId, makeGroupMemberRecord({ userId, leftSequence: 8, ...facts }));
  }
  const invitation = { userId: "ivan", inviteId: "i1", inviterId: "max", expiresAtMs: 50 };
  return {
    profile: makeGroupProfile({ title: "Harbour", ownerId: "olga", ...profile }),
    nextSequence: 10,
    memberCount: members ?? present,
    inviteCount: 1,
    member: (userId) => records.get(userId),
    members: () => records.values(),
    invite: (userId) =>
      ["ivan", "kim"].includes(userId)
        ? makeGroupInviteRecord({ ...invitation, userId })
        : undefined,
  };
}

function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(names).find(([, number]) => number === value)![0];
}

function outcome(facts: Partial<GroupEntry>, situation?: Situation, limits = LIMITS): string {
  const decision = decide(makeGroupEntry({ id: "e1", ...facts }), group(situation), limits);
  if (isRefusal(decision)) return nameOf(EntryOutcomeRefusal, decision.refusal);
  return decision.notices.map(({ kind }) => nameOf(NoticeKind, kind)).join("+") || "numbered";
}

const KIND = GroupEntryKind;
const PEOPLE = ["olga", "adam", "max", "sam"];
const R = "ROLE";
const S = "SUBJECT";

// Done by:                                                     owner    admin    member   stranger
test.each<[what: string, Partial<GroupEntry>, ...string[]]>([
  ["invite", { kind: KIND.INVITE, subjectId: "sue" }, /*     */ "JOINED", "JOINED", "JOINED", R],
  ["kick a member", { kind: KIND.KICK, subjectId: "mia" }, "KICKED", "KICKED", R, R],
  ["kick an admin", { kind: KIND.KICK, subjectId: "ada" }, "KICKED", S, R, R],
  ["kick the owner", { kind: KIND.KICK, subjectId: "olga" }, S, S, R, R],
  ["kick a stranger", { kind: KIND.KICK, subjectId: "sue" }, S, S, R, R],
  ["transfer", { kind: KIND.TRANSFER, subjectId: "mia" }, "OWNER", R, R, R],
  ["transfer to a stranger", { kind: KIND.TRANSFER, subjectId: "sue" }, S, R, R, R],
  ["make an admin", { kind: KIND.SET_ADMIN, subjectId: "mia" }, "ADMIN", R, R, R],
  ["unmake an admin", { kind: KIND.UNSET_ADMIN, subjectId: "ada" }, "ADMIN_NO_MORE", R, R, R],
  ["the owner as admin", { kind: KIND.SET_ADMIN, subjectId: "olga" }, S, R, R, R],
  ["mute a member", { kind: KIND.MUTE, subjectId: "mia", untilMs: 9 }, "MUTED", "MUTED", R, R],
  ["mute an admin", { kind: KIND.MUTE, subjectId: "ada", untilMs: 9 }, "MUTED", S, R, R],
  ["mute the owner", { kind: KIND.MUTE, subjectId: "olga", untilMs: 9 }, S, S, R, R],
  ["mute all", { kind: KIND.MUTE_ALL }, "ALL_MUTED", "ALL_MUTED", R, R],
  ["change the title", profile({ title: "Pier" }), "TITLE", "TITLE", R, R],
  ["announce", profile({ announcement: "!" }), "ANNOUNCEMENT", "ANNOUNCEMENT", R, R],
  ["both", profile({ title: "Pier", announcement: "!" }), "PROFILE", "PROFILE", R, R],
  ["change the policy", profile({ joinPolicy: 3 }), "PROFILE", "PROFILE", R, R],
  [
    ...(["own nickname", { kind: KIND.SET_NICKNAME, text: "x" }] as [string, Partial<GroupEntry>]),
    ...["NICKNAME", "NICKNAME", "NICKNAME", "NOT_A_MEMBER"],
  ],
  ["dismiss", { kind: KIND.DISMISS }, "DISMISSED", R, R, R],
  ["leave", { kind: KIND.LEAVE }, "LEFT+OWNER", "LEFT", "LEFT", "NOT_A_MEMBER"],
  [
    ...(["join", { kind: KIND.JOIN }] as [string, Partial<GroupEntry>]),
    ...["MEMBER_ALREADY", "MEMBER_ALREADY", "MEMBER_ALREADY", "JOINED"],
  ],
])("permissions in a group: %s", (_what, facts, ...expected) => {
  expect(PEOPLE.map((userId) => outcome({ ...facts, userId }))).toEqual(expected);
});

function profile(fields: object): Partial<GroupEntry> {
  const request = { groupId: "", clientRequestId: "" };
  const absent = { title: undefined, announcement: undefined, description: undefined };
  const rest = { avatarId: undefined, joinPolicy: undefined };
  return { kind: KIND.SET_PROFILE, profile: { ...request, ...absent, ...rest, ...fields } };
}

// What a policy says: 1 open, 2 whom a member invites, 3 whom an admin invites.
test.each<[what: string, Partial<GroupEntry>, policy: number, expected: string]>([
  ["a stranger joins", { kind: KIND.JOIN, userId: "sam" }, 1, "JOINED"],
  ["a stranger joins", { kind: KIND.JOIN, userId: "sam" }, 2, "NOT_INVITED"],
  [
    "with somebody's invitation",
    { kind: KIND.JOIN, userId: "sam", inviteId: "i1" },
    2,
    "NOT_INVITED",
  ],
  [
    "with an own one",
    { kind: KIND.JOIN, userId: "ivan", inviteId: "i1", acceptedAtMs: 50 },
    3,
    "JOINED",
  ],
  ["with another one", { kind: KIND.JOIN, userId: "ivan", inviteId: "i2" }, 2, "NOT_INVITED"],
  [
    "too late",
    { kind: KIND.JOIN, userId: "ivan", inviteId: "i1", acceptedAtMs: 51 },
    2,
    "INVITE_EXPIRED",
  ],
  ["a member invites", { kind: KIND.INVITE, userId: "max", subjectId: "sue" }, 2, "JOINED"],
  ["a member invites", { kind: KIND.INVITE, userId: "max", subjectId: "sue" }, 3, R],
  ["an admin invites", { kind: KIND.INVITE, userId: "adam", subjectId: "sue" }, 3, "JOINED"],
  ["who was kicked joins", { kind: KIND.JOIN, userId: "karl" }, 1, "NOT_INVITED"],
  [
    "who was kicked, and is invited, joins",
    { kind: KIND.JOIN, userId: "kim", inviteId: "i1" },
    1,
    "JOINED",
  ],
  [
    "a member invites who was kicked",
    { kind: KIND.INVITE, userId: "max", subjectId: "karl" },
    1,
    "NOT_INVITED",
  ],
  [
    "an admin invites who was kicked",
    { kind: KIND.INVITE, userId: "adam", subjectId: "karl" },
    1,
    "JOINED",
  ],
])("joining: %s (%o, policy %i)", (_what, facts, joinPolicy, expected) => {
  expect(outcome(facts, { joinPolicy })).toBe(expected);
});

test("joining: a large group asks who is invited, until too many are asked; a full one takes nobody", () => {
  const invite = { kind: KIND.INVITE, userId: "max", subjectId: "sue" };
  const large = { ...LIMITS, acceptAboveMembers: 5 };
  expect(outcome(invite, {}, large)).toBe("HAS_TO_ACCEPT");
  expect(outcome(invite, {}, { ...large, invitesMax: 1 })).toBe("TOO_MANY_INVITES");
  expect(outcome({ ...invite, subjectId: "ivan" }, {}, { ...large, invitesMax: 1 })).toBe(
    "HAS_TO_ACCEPT",
  );
  for (const kind of [KIND.INVITE, KIND.JOIN]) {
    expect(
      outcome({ ...invite, kind, userId: kind === KIND.JOIN ? "sam" : "max" }, { members: 6 }),
    ).toBe("FULL");
  }
});

test("what is so already is not done again", () => {
  const by = (facts: Partial<GroupEntry>, situation?: Situation) =>
    outcome({ userId: "olga", ...facts }, situation);
  expect(by({ kind: KIND.SET_ADMIN, subjectId: "ada" })).toBe("NOTHING_TO_DO");
  expect(by({ kind: KIND.TRANSFER, subjectId: "olga" })).toBe("NOTHING_TO_DO");
  expect(by({ kind: KIND.MUTE, subjectId: "mia", untilMs: 0 })).toBe("NOTHING_TO_DO");
  expect(by({ kind: KIND.MUTE_ALL }, { allMuted: true })).toBe("NOTHING_TO_DO");
  expect(by(profile({ title: "Harbour" }))).toBe("NOTHING_TO_DO");
  expect(by({ kind: KIND.SET_NICKNAME, text: "" })).toBe("NOTHING_TO_DO");
});

test("a dismissed group takes nothing, and messages are not judged here", () => {
  for (const kind of Object.values(KIND).filter((kind) => kind > 0)) {
    expect(outcome({ kind, userId: "olga" }, { dismissed: true })).toBe("DISMISSED");
  }
  expect(outcome({ kind: KIND.MESSAGE, userId: "sam" })).toBe("numbered");
});

test("a mute outlives leaving and joining, a kick an invitation; roles and nicknames do not", () => {
  const membersOf = (facts: Partial<GroupEntry>) => {
    const decision = decide(makeGroupEntry({ id: "e1", ...facts }), group(), LIMITS);
    return isRefusal(decision) ? [] : decision.members;
  };
  expect(membersOf({ kind: KIND.JOIN, userId: "lou" })).toEqual([
    makeGroupMemberRecord({ userId: "lou", sinceSequence: 10, mutedUntilMs: 70 }),
  ]);
  expect(membersOf({ kind: KIND.KICK, userId: "olga", subjectId: "ada" })).toEqual([
    makeGroupMemberRecord({ userId: "ada", sinceSequence: 3, leftSequence: 10, kicked: true }),
  ]);
  expect(membersOf({ kind: KIND.JOIN, userId: "kim", inviteId: "i1" })).toEqual([
    makeGroupMemberRecord({ userId: "kim", sinceSequence: 10 }),
  ]);
});
