/** `tricampus contact ...`: contacts, on behalf of a user who is logged in here. */
import { ContactRequestState } from "../../protos/gen/tricampus/client/v1/contact_codec.ts";
import type { TricampusClient } from "../../sdk/client.ts";
import { type CommandCall, type CommandDefinition, textOption } from "../command.ts";
import { EXIT, Failure } from "../failure.ts";
import { KnownUsers } from "../logins.ts";
import { type OnBehalf, onBehalf } from "../on-behalf.ts";
import { formatTable } from "../output/table.ts";
import { userIdOf } from "../recipient.ts";

const OTHER = ["<other>", "name or id"] as const;
const YES_NO: Readonly<Record<string, boolean>> = { yes: true, no: false };

/** Something between the user and another one. */
function withOther(
  verb: string,
  summary: string,
  act: (client: TricampusClient, userId: string) => Promise<void>,
): OnBehalf {
  return {
    name: `contact ${verb}`,
    summary,
    arguments: [OTHER],
    act: async (client, [name]) => {
      const userId = await userIdOf(client, name!);
      await act(client, userId);
      return { json: { userId }, text: "Done." };
    },
  };
}

const ask: OnBehalf = {
  name: "contact ask",
  summary: "ask a user to become a contact",
  arguments: [OTHER, ["[text]", "what the other one is shown; up to 200 characters"]],
  act: async (client, [name, text = ""]) => {
    const userId = await userIdOf(client, name!);
    const accepted = await client.contacts.ask(userId, text);
    return { json: { userId, accepted }, text: accepted ? "You are contacts now." : "Asked." };
  },
};

const remark: OnBehalf = {
  name: "contact remark",
  summary: "give a contact a name of your own",
  arguments: [OTHER, ["[remark]", "up to 64 characters; none: no remark"]],
  act: async (client, [name, text = ""]) => {
    const userId = await userIdOf(client, name!);
    await client.contacts.setRemark(userId, text);
    return { json: { userId, remark: text }, text: "Done." };
  },
};

const tag: OnBehalf = {
  name: "contact tag",
  summary: "say which tags a contact has; without tags: none",
  arguments: [OTHER, ["[tags...]", "names of tags; new ones are made"]],
  syncs: true,
  act: async (client, [name, ...given]) => {
    const userId = await userIdOf(client, name!);
    const names = given.filter((one) => one !== "");
    const tagIds: string[] = [];
    for (const one of names) tagIds.push(await tagIdOf(client, one));
    await client.contacts.setTags(userId, tagIds);
    return { json: { userId, tagIds }, text: "Done." };
  },
};

async function tagIdOf(client: TricampusClient, name: string): Promise<string> {
  const known = [...client.contacts.known.tags.values()].find((one) => one.name === name);
  if (known !== undefined) return known.tagId;
  const tagId = crypto.randomUUID();
  await client.contacts.setTag({ tagId, name });
  return tagId;
}

const policy: OnBehalf = {
  name: "contact policy",
  summary: "say what strangers may do",
  options: [
    ["--messages <yes|no>", "send messages"],
    ["--groups <yes|no>", "make the user a member of groups"],
    ["--requests <yes|no>", "ask to become a contact"],
  ],
  syncs: true,
  act: async (client, _, call) => {
    const given = {
      refusesStrangers: refuses(call, "messages"),
      refusesGroupsOfStrangers: refuses(call, "groups"),
      refusesRequests: refuses(call, "requests"),
    };
    const fields = Object.entries(given).filter(([, value]) => value !== undefined);
    if (fields.length === 0) throw new Failure(EXIT.usage, "say what to change; see --help");
    await client.contacts.setPolicy(Object.fromEntries(fields));
    return { json: Object.fromEntries(fields), text: "Done." };
  },
};

function refuses(call: CommandCall, option: string): boolean | undefined {
  const given = textOption(call, option);
  if (given === undefined) return undefined;
  const may = YES_NO[given];
  if (may === undefined) throw new Failure(EXIT.usage, `--${option} ${given}: yes or no`);
  return !may;
}

const list: OnBehalf = {
  name: "contact list",
  summary: "list contacts, requests, and who is blocked",
  syncs: true,
  act: async (client, _, call) => {
    const { contacts, incoming, outgoing, blocked, tags, policy: own } = client.contacts.known;
    const known = new KnownUsers(call.dataDir);
    const requests = [...incoming.values(), ...outgoing.values()];
    const pending = requests.filter(({ state }) => state === ContactRequestState.PENDING);
    const rows = [
      ...[...contacts.values()].map((one) => [
        ...[known.nameOf(one.userId), one.userId, "contact", one.remark],
        one.tagIds.map((id) => tags.get(id)?.name ?? id).join(", "),
      ]),
      ...pending.map((one) => [
        ...[known.nameOf(one.userId), one.userId, one.incoming ? "asks" : "asked", one.text, ""],
      ]),
      ...[...blocked].map((id) => [known.nameOf(id), id, "blocked", "", ""]),
    ];
    const table = formatTable(["name", "user id", "", "remark or text", "tags"], rows);
    const json = {
      contacts: [...contacts.values()],
      requests: pending,
      blocked: [...blocked],
      tags: [...tags.values()],
      policy: own,
    };
    return { json, text: rows.length === 0 ? "No contacts." : table };
  },
};

const COMMANDS: readonly OnBehalf[] = [
  list,
  ask,
  withOther("accept", "accept a user's request", (client, id) => client.contacts.accept(id)),
  withOther("decline", "decline a user's request", (client, id) => client.contacts.decline(id)),
  withOther("remove", "take a user out of the contacts", (client, id) =>
    client.contacts.remove(id),
  ),
  remark,
  tag,
  withOther("block", "let nothing come from a user", (client, id) => client.contacts.block(id)),
  withOther("unblock", "let things come from a user again", (client, id) =>
    client.contacts.block(id, false),
  ),
  policy,
];

export const contactCommands: readonly CommandDefinition[] = COMMANDS.map(onBehalf);
