/** `tricampus account ...`: the account of a user who is logged in here. */
import { Platform } from "../../protos/gen/tricampus/client/v1/account_codec.ts";
import type { TricampusClient } from "../../sdk/client.ts";
import { type CommandCall, type CommandDefinition, textOption } from "../command.ts";
import { EXIT, Failure } from "../failure.ts";
import { saveLogin } from "../logins.ts";
import { type OnBehalf, onBehalf } from "../on-behalf.ts";
import { formatTable } from "../output/table.ts";
import { PASSWORD_OPTION, passwordOf } from "../password.ts";
import { userIdOf } from "../recipient.ts";
import { CLIENT_OPTIONS, withUser } from "../session.ts";

const PROFILE_OPTIONS = [
  ["--display-name <text>", "up to 64 characters"],
  ["--about <text>", "up to 200 characters"],
  ["--avatar <media>", "a media id; empty: none"],
] as const;
const SETTINGS_OPTIONS = [
  ["--hide-reading <yes|no>", "do not tell others how far the user has read"],
  ["--hide-name <yes|no>", "nobody finds the user by name"],
] as const;

const profile: OnBehalf = {
  name: "account profile",
  summary: "show what a user shows of itself",
  arguments: [["[other]", "name or id; default: the user itself"]],
  act: async (client, [name = ""]) => {
    const userId = name === "" ? client.userId! : await userIdOf(client, name);
    const [found] = await client.account.profiles([userId]);
    if (found === undefined) throw new Failure(EXIT.failed, `user ${userId} shows nothing`);
    const lines = [
      [found.userId, found.name].filter(Boolean).join(", "),
      ...[found.displayName, found.about, found.avatarId].filter(Boolean),
    ];
    return { json: found, text: lines.join("\n") };
  },
};

const set: OnBehalf = {
  name: "account set",
  summary: "change what the user shows of itself, or its settings",
  options: [...PROFILE_OPTIONS, ...SETTINGS_OPTIONS],
  syncs: true,
  act: async (client, _, call) => {
    const shown = present({
      displayName: textOption(call, "displayName"),
      about: textOption(call, "about"),
      avatarId: textOption(call, "avatar"),
    });
    const settings = present({
      hidesReading: yesOrNo(call, "hideReading"),
      hidesName: yesOrNo(call, "hideName"),
    });
    if (shown === undefined && settings === undefined) {
      throw new Failure(EXIT.usage, "say what to change; see --help");
    }
    if (shown !== undefined) await client.account.setProfile(shown);
    if (settings !== undefined) await client.account.setSettings(settings);
    return { json: { ...shown, ...settings }, text: "Done." };
  },
};

/** The fields that were given; undefined when none was. */
function present<T extends object>(fields: T): Given<T> | undefined {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return given.length === 0 ? undefined : (Object.fromEntries(given) as Given<T>);
}

type Given<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

function yesOrNo(call: CommandCall, option: string): boolean | undefined {
  const given = textOption(call, option);
  if (given === undefined) return undefined;
  if (given === "yes" || given === "no") return given === "yes";
  throw new Failure(EXIT.usage, `"${given}": yes or no`);
}

const devices: OnBehalf = {
  name: "account devices",
  summary: "list the devices that are logged in",
  syncs: true,
  act: async (client) => {
    const all = [...client.account.known.devices.values()];
    const rows = all.map((one) => [
      one.device,
      platformName(one.platform),
      new Date(one.loggedInAtMs).toISOString(),
    ]);
    return { json: { devices: all }, text: formatTable(["device", "platform", "since"], rows) };
  },
};

function platformName(platform: number): string {
  const found = Object.entries(Platform).find(([, value]) => value === platform);
  return found?.[0].toLowerCase() ?? String(platform);
}

const logOut: OnBehalf = {
  name: "account log-out",
  summary: "end the log-in of one of the user's devices",
  arguments: [["[device]", "default: the one here"]],
  act: async (client, [device = ""]) => {
    await client.account.logOut(device);
    return { json: { device }, text: "Logged out." };
  },
};

const logOutEverywhere: OnBehalf = {
  name: "account log-out-everywhere",
  summary: "end the log-in of all of the user's devices, the one here included",
  act: async (client) => {
    await client.account.logOutEverywhere();
    return { json: {}, text: "Logged out everywhere." };
  },
};

/** A command that asks for the user's password. */
function withPassword(
  command: Pick<CommandDefinition, "name" | "summary" | "options">,
  act: (client: TricampusClient, password: string, call: CommandCall) => Promise<string>,
): CommandDefinition {
  return {
    ...command,
    arguments: [["<user>", "on whose behalf"]],
    options: [...(command.options ?? []), PASSWORD_OPTION, ...CLIENT_OPTIONS],
    run: async (call) => {
      const user = call.arguments[0]!;
      const password = await passwordOf(call);
      console.log(await withUser(call, user, (client) => act(client, password, call)));
      return EXIT.ok;
    },
  };
}

const password = withPassword(
  {
    name: "account password",
    summary: "change the password; all other devices are logged out",
    options: [["--new <text>", "the new one: 8-256 characters; else $TRICAMPUS_NEW_PASSWORD"]],
  },
  async (client, old, call) => {
    const next = textOption(call, "new") ?? process.env.TRICAMPUS_NEW_PASSWORD;
    if (next === undefined) throw new Failure(EXIT.usage, "give --new, or $TRICAMPUS_NEW_PASSWORD");
    saveLogin(call.dataDir, call.arguments[0]!, await client.changePassword(old, next));
    return call.json ? "{}" : "Changed. All other devices are logged out.";
  },
);

const remove = withPassword(
  { name: "account delete", summary: "delete the account and everything that is the user's" },
  async (client, given, call) => {
    await client.account.delete(given);
    return call.json ? "{}" : "Deleted. The data goes within minutes.";
  },
);

const COMMANDS: readonly OnBehalf[] = [profile, set, devices, logOut, logOutEverywhere];

export const accountCommands: readonly CommandDefinition[] = [
  ...COMMANDS.map(onBehalf),
  password,
  remove,
];
