/** `tricampus group ...`: groups, on behalf of a user who is logged in here. */
import type { TricampusClient } from "../../sdk/client.ts";
import type { CommandCall, CommandDefinition } from "../command.ts";
import { EXIT } from "../failure.ts";
import { KnownUsers } from "../logins.ts";
import { printJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";
import { userIdOf } from "../recipient.ts";
import { CLIENT_OPTIONS, withUser } from "../session.ts";

const USER = ["<user>", "on whose behalf"] as const;
const GROUP = ["<group>", "the group's id"] as const;

type Act = (client: TricampusClient, rest: string[], call: CommandCall) => Promise<Outcome>;
interface Outcome {
  readonly json: object;
  readonly text: string;
}

function groupCommand(
  verb: string,
  summary: string,
  more: CommandDefinition["arguments"],
  act: Act,
): CommandDefinition {
  return {
    name: `group ${verb}`,
    summary,
    arguments: [USER, ...(more ?? [])],
    options: CLIENT_OPTIONS,
    run: async (call) => {
      const [user, ...rest] = call.arguments;
      const outcome = await withUser(call, user!, (client) => act(client, rest, call));
      if (call.json) printJson(outcome.json);
      else console.log(outcome.text);
      return EXIT.ok;
    },
  };
}

export const groupCommands: readonly CommandDefinition[] = [
  groupCommand(
    "create",
    "make a group with the user and others as members",
    [
      ["<title>", "1-128 characters"],
      ["[members...]", "names or ids of registered users"],
    ],
    async (client, [title, ...names]) => {
      const given = names.filter((name) => name !== "");
      const members = await Promise.all(given.map((name) => userIdOf(client, name)));
      const groupId = await client.createGroup(title!, members);
      return { json: { groupId }, text: `Made group ${groupId}.` };
    },
  ),
  groupCommand("join", "become a member of a group", [GROUP], async (client, [groupId]) => {
    const sequence = await client.joinGroup(groupId!);
    return { json: { groupId, sequence }, text: `Joined ${groupId}.` };
  }),
  groupCommand("leave", "leave a group", [GROUP], async (client, [groupId]) => {
    const sequence = await client.leaveGroup(groupId!);
    return { json: { groupId, sequence }, text: `Left ${groupId}.` };
  }),
  groupCommand("members", "list a group's members", [GROUP], async (client, [groupId], call) => {
    const { title, members } = await client.listMembers(groupId!);
    const known = new KnownUsers(call.dataDir);
    const rows = members.map((m) => [known.nameOf(m.userId), m.userId, String(m.sinceSequence)]);
    const table = formatTable(["name", "user id", "since"], rows);
    return { json: { title, members }, text: `${title}: ${members.length} members\n${table}` };
  }),
];
