/** `tricampus send`: one message. */
import type { CommandDefinition } from "../command.ts";
import { EXIT, Failure } from "../failure.ts";
import { printJson } from "../output/json.ts";
import { RECIPIENT_OPTIONS, recipientOf, resolved } from "../recipient.ts";
import { CLIENT_OPTIONS, withUser } from "../session.ts";

export const sendCommand: CommandDefinition = {
  name: "send",
  summary: "send one message as a user who is logged in here",
  arguments: [
    ["<user>", "who sends"],
    ["<text...>", "what"],
  ],
  options: [
    ...RECIPIENT_OPTIONS,
    ["--trace", "trace it through the platform; see it with: trace <message id>"],
    ...CLIENT_OPTIONS,
  ],
  run: async (call) => {
    const [user, ...words] = call.arguments;
    const to = recipientOf(call);
    if (to === undefined) throw new Failure(EXIT.usage, "say to whom: --to <name> or --group <id>");
    const sent = await withUser(
      call,
      user!,
      async (client) => client.send(await resolved(client, to), words.join(" ")),
      { traced: call.options["trace"] === true },
    );
    const ms = Math.round(sent.ackedAtMs - sent.sentAtMs);
    if (call.json) printJson({ ...sent, ackMs: ms });
    else console.log(`Accepted as ${sent.messageId} after ${ms} ms.`);
    return EXIT.ok;
  },
};
