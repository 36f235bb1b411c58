/** Commands that act for a user who is logged in here: `tricampus <family> <verb> <user> ...`. */
import type { TricampusClient } from "../sdk/client.ts";
import type { CommandCall, CommandDefinition } from "./command.ts";
import { EXIT } from "./failure.ts";
import { printJson } from "./output/json.ts";
import { CLIENT_OPTIONS, withUser } from "./session.ts";

interface Outcome {
  readonly json: object;
  readonly text: string;
}

type Act = (client: TricampusClient, rest: string[], call: CommandCall) => Promise<Outcome>;

export interface OnBehalf {
  /** "group kick" */
  readonly name: string;
  readonly summary: string;
  /** Behind the user. */
  readonly arguments?: CommandDefinition["arguments"];
  readonly options?: CommandDefinition["options"];
  /** It needs the user's messages: they are fetched first. */
  readonly syncs?: boolean;
  readonly act: Act;
}

export function onBehalf(command: OnBehalf): CommandDefinition {
  const { name, summary, syncs: keepsMessages = false, act } = command;
  return {
    ...{ name, summary },
    arguments: [["<user>", "on whose behalf"], ...(command.arguments ?? [])],
    options: [...(command.options ?? []), ...CLIENT_OPTIONS],
    run: async (call) => {
      const [user, ...rest] = call.arguments;
      const work = async (client: TricampusClient) => {
        if (keepsMessages) await client.sync();
        return act(client, rest, call);
      };
      const outcome = await withUser(call, user!, work, { keepsMessages });
      if (call.json) printJson(outcome.json);
      else console.log(outcome.text);
      return EXIT.ok;
    },
  };
}
