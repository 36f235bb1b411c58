/**
 * `tricampus chat`: talk from a terminal. What comes in is printed; what is typed goes to whom was
 * named last, or who wrote last. Input that is no terminal is sent line by line, then the chat ends.
 */
import { createInterface, type Interface } from "node:readline";
import type { TricampusClient, Update } from "../../sdk/client.ts";
import { UnansweredSend } from "../../sdk/outbox.ts";
import type { Recipient, StoredMessage } from "../../sdk/store.ts";
import type { CommandCall, CommandDefinition } from "../command.ts";
import { EXIT } from "../failure.ts";
import { KnownUsers } from "../logins.ts";
import { printJson } from "../output/json.ts";
import { describeMessage, messageJson } from "../output/message.ts";
import { RECIPIENT_OPTIONS, recipientOf, resolved } from "../recipient.ts";
import { CLIENT_OPTIONS, withUser } from "../session.ts";

const HELP = "/to <name>  /group <id>  /help  /quit";

export const chatCommand: CommandDefinition = {
  name: "chat",
  summary: "talk from this terminal; a second terminal can be the other side",
  arguments: [["<user>", "who talks; logged in here"]],
  options: [...RECIPIENT_OPTIONS, ...CLIENT_OPTIONS],
  run: async (call) => {
    const chat = new Chat(call, recipientOf(call));
    await withUser(call, call.arguments[0]!, (client) => chat.run(client), {
      keepsMessages: true,
      onMessage: (message) => chat.received(message),
      onUpdate: (update) => chat.updated(update),
      onState: (state, campus) => chat.connection(state, campus),
    });
    return EXIT.ok;
  },
};

class Chat {
  readonly #known: KnownUsers;
  readonly #json: boolean;
  #to: Recipient | undefined;
  #userId = "";
  #campus = "";
  /** While lines are read from a terminal. */
  #lines: Interface | undefined;

  constructor(call: CommandCall, to: Recipient | undefined) {
    this.#known = new KnownUsers(call.dataDir);
    this.#json = call.json;
    this.#to = to;
  }

  async run(client: TricampusClient): Promise<void> {
    this.#userId = client.userId ?? "";
    if (this.#to !== undefined) this.#to = await resolved(client, this.#to);
    this.#say(`Connected to campus ${client.campus}. ${HELP}`);
    const { stdin: input, stdout: output } = process;
    // Made here and not before: lines that come while nobody iterates would be lost.
    const isTerminal = output.isTTY && input.isTTY && !this.#json;
    const lines = createInterface(isTerminal ? { input, output } : { input });
    this.#lines = isTerminal ? lines : undefined;
    const prompt = () => this.#lines?.prompt();
    prompt();
    for await (const line of lines) {
      if (line.trim() === "/quit") break;
      await this.#typed(client, line);
      prompt();
    }
    lines.close();
    this.#lines = undefined;
  }

  received(message: StoredMessage): void {
    if (this.#json) {
      printJson(messageJson(message));
      return;
    }
    // The user's own words are on the screen already.
    if (message.senderId === this.#userId && message.notice === undefined) return;
    this.#say(describeMessage(message, (id) => this.#known.nameOf(id)));
    this.#to ??= message.conversationId.startsWith("c:")
      ? { userId: message.senderId }
      : { groupId: message.conversationId };
  }

  /** What became of a message of which it was said that it is not yet sent. */
  updated(update: Update): void {
    if (update.kind !== "send") return;
    const { text, outcome } = update.send;
    if (outcome.state === "failed") this.#say(`Not sent (${outcome.code}): ${text}`);
    if (outcome.state === "acknowledged") this.#say(`Sent now: ${text}`);
  }

  connection(state: string, campus: string): void {
    if (state !== "attached" || campus === this.#campus) return;
    if (this.#campus !== "") this.#say(`Connection lost; now at campus ${campus}.`);
    this.#campus = campus;
  }

  async #typed(client: TricampusClient, line: string): Promise<void> {
    const [word, name] = line.trim().split(/\s+/);
    if (line.trim() === "") return;
    if (word === "/to" && name !== undefined) this.#to = { userName: name };
    else if (word === "/group" && name !== undefined) this.#to = { groupId: name };
    else if (word!.startsWith("/")) this.#say(HELP);
    else if (this.#to === undefined) this.#say("Say to whom first: /to <name> or /group <id>");
    else await this.#send(client, this.#to, line);
  }

  async #send(client: TricampusClient, to: Recipient, line: string): Promise<void> {
    try {
      await client.send(to, line);
    } catch (error) {
      const { message } = error as Error;
      this.#say(error instanceof UnansweredSend ? `Not yet: ${message}` : `Not sent: ${message}`);
    }
  }

  /** Prints a line above the one that is being typed. */
  #say(text: string): void {
    if (this.#json) return;
    if (this.#lines !== undefined) process.stdout.write("\r\u001b[K");
    console.log(text);
    this.#lines?.prompt(true);
  }
}
