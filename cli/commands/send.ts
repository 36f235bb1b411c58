/** `tricampus send`: one message, or a file, an image or a video with one. */
import type { TricampusClient } from "../../sdk/client.ts";
import type { Recipient } from "../../sdk/store.ts";
import type { CommandCall, CommandDefinition } from "../command.ts";
import { EXIT, Failure } from "../failure.ts";
import { MEDIA_OPTIONS, mediumOf, withFile } from "../medium.ts";
import { printJson } from "../output/json.ts";
import { RECIPIENT_OPTIONS, recipientOf, resolved } from "../recipient.ts";
import { CLIENT_OPTIONS, withUser } from "../session.ts";

export const sendCommand: CommandDefinition = {
  name: "send",
  summary: "send one message, or a file, image or video, as a user who is logged in here",
  arguments: [
    ["<user>", "who sends"],
    ["[text...]", "what; may be left out beside a file, image or video"],
  ],
  options: [
    ...RECIPIENT_OPTIONS,
    ...MEDIA_OPTIONS,
    ["--trace", "trace it through the platform; see it with: trace <message id>"],
    ...CLIENT_OPTIONS,
  ],
  run: async (call) => {
    const [user, ...words] = call.arguments;
    const to = recipientOf(call);
    if (to === undefined) throw new Failure(EXIT.usage, "say to whom: --to <name> or --group <id>");
    const sent = await withUser(call, user!, (client) => send(call, client, { to, words }), {
      traced: call.options["trace"] === true,
    });
    const ms = Math.round(sent.ackedAtMs - sent.sentAtMs);
    if (call.json) printJson({ ...sent, ackMs: ms });
    else console.log(`Accepted as ${sent.messageId} after ${ms} ms.`);
    return EXIT.ok;
  },
};

async function send(
  call: CommandCall,
  client: TricampusClient,
  { to, words }: { to: Recipient; words: readonly string[] },
) {
  const recipient = await resolved(client, to);
  const text = words.join(" ");
  const medium = mediumOf(call);
  if (medium === undefined) {
    if (text === "") throw new Failure(EXIT.usage, "say what: a text, --file, --image or --video");
    return client.send(recipient, text);
  }
  return withFile(medium, async (upload) => client.media.send(recipient, { ...upload, text }));
}
