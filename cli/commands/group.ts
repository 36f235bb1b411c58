/** `tricampus group ...`: groups, on behalf of a user who is logged in here. */
import {
  type GroupMember,
  GroupRole,
  InviteOutcomeKind,
} from "../../protos/gen/tricampus/client/v1/group_codec.ts";
import type { TricampusClient } from "../../sdk/client.ts";
import { type CommandCall, type CommandDefinition, textOption } from "../command.ts";
import { parseTime } from "../duration.ts";
import { EXIT, Failure } from "../failure.ts";
import { KnownUsers } from "../logins.ts";
import { type OnBehalf, onBehalf } from "../on-behalf.ts";
import { formatTable } from "../output/table.ts";
import { userIdOf } from "../recipient.ts";

const GROUP = ["<group>", "the group's id"] as const;
const MEMBER = ["<member>", "name or id"] as const;
const PROFILE_OPTIONS = [
  ["--title <text>", "1-128 characters"],
  ["--announcement <text>", "up to 4,000 characters"],
  ["--description <text>", "up to 500 characters"],
  ["--join <policy>", "open, invited, or invited-by-admin"],
] as const;
const POLICIES: Readonly<Record<string, number>> = {
  open: 1,
  invited: 2,
  "invited-by-admin": 3,
};

/** A change of a member, by name or id. */
function ofMember(
  verb: string,
  summary: string,
  run: (client: TricampusClient, groupId: string, userId: string) => Promise<number>,
): OnBehalf {
  return {
    name: `group ${verb}`,
    summary,
    arguments: [GROUP, MEMBER],
    act: async (client, [groupId, name]) => {
      const userId = await userIdOf(client, name!);
      return changed(groupId!, await run(client, groupId!, userId));
    },
  };
}

function ofGroup(
  verb: string,
  summary: string,
  run: (client: TricampusClient, groupId: string) => Promise<number>,
): OnBehalf {
  return {
    name: `group ${verb}`,
    summary,
    arguments: [GROUP],
    act: async (client, [groupId]) => changed(groupId!, await run(client, groupId!)),
  };
}

function changed(groupId: string, sequence: number) {
  const text = sequence === 0 ? "It is so already." : "Done.";
  return { json: { groupId, sequence }, text };
}

const create: OnBehalf = {
  name: "group create",
  summary: "make a group with the user, its owner, and others as members",
  arguments: [
    ["<title>", "1-128 characters"],
    ["[members...]", "names or ids of registered users"],
  ],
  act: async (client, [title, ...names]) => {
    const given = names.filter((name) => name !== "");
    const members = await Promise.all(given.map((name) => userIdOf(client, name)));
    const groupId = await client.groups.create(title!, members);
    return { json: { groupId }, text: `Made group ${groupId}.` };
  },
};

const members: OnBehalf = {
  name: "group members",
  summary: "list a group's members",
  arguments: [GROUP],
  act: async (client, [groupId], call) => {
    const { title, members: all } = await client.groups.listMembers(groupId!);
    const known = new KnownUsers(call.dataDir);
    const rows = all.map((m) => [
      ...[known.nameOf(m.userId), m.userId, roleName(m.role), m.nickname],
      String(m.sinceSequence),
    ]);
    const table = formatTable(["name", "user id", "role", "nickname", "since"], rows);
    return {
      json: { title, members: all.map(memberJson) },
      text: `${title}: ${all.length} members\n${table}`,
    };
  },
};

/** Numbers of the protocol say nothing to a person, and little to a program. */
function memberJson(member: GroupMember) {
  return { ...member, role: roleName(member.role) };
}

function roleName(role: number): string {
  const found = Object.entries(GroupRole).find(([, value]) => value === role);
  return found?.[0].toLowerCase() ?? String(role);
}

const info: OnBehalf = {
  name: "group info",
  summary: "show what a group is, and what the user is in it",
  arguments: [GROUP],
  act: async (client, [groupId]) => {
    const group = await client.groups.get(groupId!);
    const { title, ownerId, announcement, description, members: count, allMuted, own } = group;
    const lines = [
      `${title}, ${count} members, owned by ${ownerId}${allMuted ? ", all muted" : ""}`,
      ...(announcement === "" ? [] : [`Announcement: ${announcement}`]),
      ...(description === "" ? [] : [description]),
      `You are its ${roleName(own?.role ?? 0)}.`,
    ];
    const json = {
      ...group,
      joinPolicy: policyName(group.joinPolicy),
      own: own && memberJson(own),
    };
    return { json, text: lines.join("\n") };
  },
};

/** A group of which nobody has said it is open. */
function policyName(policy: number): string {
  const found = Object.entries(POLICIES).find(([, value]) => value === (policy || POLICIES.open));
  return found?.[0] ?? String(policy);
}

const invite: OnBehalf = {
  name: "group invite",
  summary: "invite users; in a large group each has to accept",
  arguments: [GROUP, ["<users...>", "names or ids"]],
  act: async (client, [groupId, ...names]) => {
    const userIds = await Promise.all(names.map((name) => userIdOf(client, name)));
    const outcomes = await client.groups.invite(groupId!, userIds);
    const rows = outcomes.map(({ kind }, i) => [names[i]!, outcomeName(kind)]);
    const named = outcomes.map((one) => ({ ...one, kind: outcomeName(one.kind) }));
    const text = formatTable(["user", "outcome"], rows);
    return { json: { groupId, outcomes: named }, text };
  },
};

function outcomeName(kind: number): string {
  const found = Object.entries(InviteOutcomeKind).find(([, value]) => value === kind);
  return found?.[0].toLowerCase().replaceAll("_", " ") ?? String(kind);
}

const accept: OnBehalf = {
  name: "group accept",
  summary: "accept an invitation",
  arguments: [GROUP, ["<invitation>", "its id: `sync` shows it"]],
  act: async (client, [groupId, inviteId]) => {
    const sequence = await client.groups.acceptInvite({ groupId: groupId!, inviteId: inviteId! });
    return { json: { groupId, sequence }, text: `Joined ${groupId}.` };
  },
};

const set: OnBehalf = {
  name: "group set",
  summary: "change a group's title, announcement, description or who may join",
  arguments: [GROUP],
  options: PROFILE_OPTIONS,
  act: async (client, [groupId], call) =>
    changed(groupId!, await client.groups.setProfile(groupId!, profileOf(call))),
};

function profileOf(call: CommandCall) {
  const [title, announcement, description, join] = [
    ...["title", "announcement", "description", "join"].map((name) => textOption(call, name)),
  ];
  const joinPolicy = join === undefined ? undefined : POLICIES[join];
  if (join !== undefined && joinPolicy === undefined) {
    throw new Failure(EXIT.usage, `--join ${join}: one of ${Object.keys(POLICIES).join(", ")}`);
  }
  const given = { title, announcement, description, joinPolicy };
  const fields = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  );
  if (Object.keys(fields).length > 0) return fields;
  throw new Failure(EXIT.usage, "say what to change; see --help");
}

const MUTE_DAYS_MAX = 30;
const DAY_MS = 24 * 3_600_000;

const mute: OnBehalf = {
  name: "group mute",
  summary: "let a member not speak for a time; 0 ends it",
  arguments: [GROUP, MEMBER],
  options: [["--for <time>", "like 10m, 2h, 3d, up to 30d; default 1h"]],
  act: async (client, [groupId, name], call) => {
    const userId = await userIdOf(client, name!);
    const given = textOption(call, "for") ?? "1h";
    const forMs = given === "0" ? 0 : parseTime("--for", given, MUTE_DAYS_MAX * DAY_MS);
    return changed(groupId!, await client.groups.mute(groupId!, { userId, forMs }));
  },
};

const nickname: OnBehalf = {
  name: "group nickname",
  summary: "take a nickname in a group",
  arguments: [GROUP, ["[nickname]", "up to 64 characters; none: no nickname"]],
  act: async (client, [groupId, name = ""]) =>
    changed(groupId!, await client.groups.setNickname(groupId!, name)),
};

const COMMANDS: readonly OnBehalf[] = [
  create,
  info,
  members,
  ofGroup("join", "become a member of a group", (client, id) => client.groups.join(id)),
  ofGroup("leave", "leave a group", (client, id) => client.groups.leave(id)),
  invite,
  accept,
  ofMember("kick", "remove a member", (client, id, user) => client.groups.kick(id, user)),
  ofMember("transfer", "hand the group to a member", (client, id, user) =>
    client.groups.transfer(id, user),
  ),
  ofMember("admin", "make a member an admin", (client, id, userId) =>
    client.groups.setAdmin(id, { userId, admin: true }),
  ),
  ofMember("no-admin", "make an admin a member again", (client, id, userId) =>
    client.groups.setAdmin(id, { userId, admin: false }),
  ),
  mute,
  ofGroup("mute-all", "let only owner and admins speak", (client, id) =>
    client.groups.muteAll(id, true),
  ),
  ofGroup("unmute-all", "let everybody speak again", (client, id) =>
    client.groups.muteAll(id, false),
  ),
  set,
  nickname,
  ofGroup("dismiss", "end the group for all", (client, id) => client.groups.dismiss(id)),
];

export const groupCommands: readonly CommandDefinition[] = COMMANDS.map(onBehalf);
