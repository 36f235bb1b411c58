/** `tricampus sync`: fetches what is new for a user and prints it. */
import type { StoredMessage } from "../../sdk/store.ts";
import type { CommandDefinition } from "../command.ts";
import { EXIT } from "../failure.ts";
import { KnownUsers } from "../logins.ts";
import { printJson } from "../output/json.ts";
import { describeMessage, messageJson } from "../output/message.ts";
import { CLIENT_OPTIONS, withUser } from "../session.ts";

export const syncCommand: CommandDefinition = {
  name: "sync",
  summary: "fetch and print what is new for a user who is logged in here",
  arguments: [["<user>", "whose messages"]],
  options: CLIENT_OPTIONS,
  run: async (call) => {
    const fresh: StoredMessage[] = [];
    const onMessage = (message: StoredMessage) => fresh.push(message);
    await withUser(call, call.arguments[0]!, (client) => client.sync(), {
      keepsMessages: true,
      onMessage,
    });
    const known = new KnownUsers(call.dataDir);
    if (call.json) printJson({ messages: fresh.map(messageJson) });
    else for (const m of fresh) console.log(describeMessage(m, (id) => known.nameOf(id)));
    if (!call.json && fresh.length === 0) console.log("Nothing new.");
    return EXIT.ok;
  },
};
