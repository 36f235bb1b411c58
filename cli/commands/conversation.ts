/** `tricampus conversation ...` and `tricampus message ...`: what a user does with what it was sent. */
import { type CommandCall, type CommandDefinition, numberOption } from "../command.ts";
import { EXIT, Failure } from "../failure.ts";
import { KnownUsers } from "../logins.ts";
import { type OnBehalf, onBehalf } from "../on-behalf.ts";
import { describeMessage, messageJson } from "../output/message.ts";
import { formatTable } from "../output/table.ts";

const CONVERSATION = ["<conversation>", "its id: `conversation list` shows it"] as const;
const NUMBER = ["<number>", "the message's number in the conversation"] as const;
const LIST_DEFAULT = 20;
const HISTORY_DEFAULT = 50;
/** Of two users, or a group's. */
const CONVERSATION_ID = /^(c:.+\|.+|[0-9a-f]{2}[0-9a-z]+-[0-9a-z]+)$/;

const list: OnBehalf = {
  name: "conversation list",
  summary: "list conversations: pinned ones first, then by their newest messages",
  options: [["--limit <count>", `default ${LIST_DEFAULT}`]],
  syncs: true,
  act: async (client, _, call) => {
    const limit = numberOption(call, "limit") ?? LIST_DEFAULT;
    const conversations = client.conversations.list({ limit });
    const rows = conversations.map((one) => [
      one.conversationId,
      `${one.unread}${one.mentioned ? " @" : ""}`,
      [one.pinnedAtMs > 0 && "pinned", one.muted && "muted"].filter(Boolean).join(", "),
      one.draft === "" ? one.lastText : `(draft) ${one.draft}`,
    ]);
    const table = formatTable(["conversation", "unread", "", "last"], rows);
    const text = rows.length === 0 ? "No conversations." : table;
    return { json: { unread: client.conversations.unread, conversations }, text };
  },
};

function setting(
  verb: string,
  summary: string,
  more: CommandDefinition["arguments"],
  set: (client: Parameters<OnBehalf["act"]>[0], id: string, rest: string[]) => Promise<void>,
): OnBehalf {
  return {
    name: `conversation ${verb}`,
    summary,
    arguments: [CONVERSATION, ...(more ?? [])],
    syncs: true,
    act: async (client, [conversationId, ...rest]) => {
      await set(client, conversationId!, rest);
      return { json: { conversationId }, text: "Done." };
    },
  };
}

const history: OnBehalf = {
  name: "conversation history",
  summary: "show what the platform keeps of a conversation, newest first",
  arguments: [CONVERSATION],
  options: [
    ["--before <number>", "only messages below this number"],
    ["--limit <count>", `up to 200; default ${HISTORY_DEFAULT}`],
  ],
  act: async (client, [conversationId], call) => {
    const before = numberOption(call, "before") ?? 0;
    const limit = numberOption(call, "limit") ?? HISTORY_DEFAULT;
    const page = await client.conversations.history(conversationId!, { before, limit });
    const messages = page.messages.map((message) => ({ ...message, receivedAtMs: 0 }));
    const known = new KnownUsers(call.dataDir);
    const lines = messages.map(
      (m) => `${m.sequence} ${describeMessage(m, (id) => known.nameOf(id))}`,
    );
    return {
      json: { messages: messages.map(messageJson), more: page.more },
      text: lines.join("\n"),
    };
  },
};

const recall: OnBehalf = {
  name: "message recall",
  summary: "take a message back, on everybody's devices",
  arguments: [CONVERSATION, NUMBER],
  syncs: true,
  act: async (client, [conversationId, number]) => {
    const message = await messageOf(client, { conversationId: conversationId!, number: number! });
    await client.recall(message);
    return { json: { conversationId }, text: "Done." };
  },
};

const remove: OnBehalf = {
  name: "message delete",
  summary: "delete a message on the user's own devices",
  arguments: [CONVERSATION, NUMBER],
  syncs: true,
  act: async (client, [conversationId, number]) => {
    await client.conversations.deleteMessage(conversationId!, Number(number));
    return { json: { conversationId }, text: "Done." };
  },
};

const readBy: OnBehalf = {
  name: "message read-by",
  summary: "show which members of a group have read a message",
  arguments: [CONVERSATION, NUMBER],
  act: async (client, [groupId, number], call) => {
    const { userIds, members } = await client.conversations.readBy(groupId!, Number(number));
    const known = new KnownUsers(call.dataDir);
    const names = userIds.map((id) => known.nameOf(id)).join(", ");
    return { json: { userIds, members }, text: `${userIds.length} of ${members}: ${names}` };
  },
};

async function messageOf(
  client: Parameters<OnBehalf["act"]>[0],
  { conversationId, number }: { conversationId: string; number: string },
) {
  const all = await client.store.messages(conversationId);
  const message = all.find((one) => one.sequence === Number(number));
  if (message !== undefined) return message;
  throw new Failure(EXIT.failed, `there is no message ${number} in ${conversationId} here`);
}

const COMMANDS: readonly OnBehalf[] = [
  list,
  setting("read", "mark everything as read", [], (client, id) => client.conversations.markRead(id)),
  setting("pin", "keep it at the top", [], (client, id) => client.conversations.pin(id, true)),
  setting("unpin", "no longer", [], (client, id) => client.conversations.pin(id, false)),
  setting("mute", "no pushes, not counted as unread", [], (client, id) =>
    client.conversations.mute(id, true),
  ),
  setting("unmute", "no longer", [], (client, id) => client.conversations.mute(id, false)),
  setting(
    "draft",
    "keep what is not sent yet",
    [["[text...]", "none: no draft"]],
    (client, id, words) => client.conversations.setDraft(id, words.join(" ").trim()),
  ),
  setting("delete", "delete it on the user's own devices", [], (client, id) =>
    client.conversations.delete(id),
  ),
  history,
  recall,
  remove,
  readBy,
];

export const conversationCommands: readonly CommandDefinition[] = COMMANDS.map((command) => {
  const definition = onBehalf(command);
  if (command.arguments?.[0] !== CONVERSATION) return definition;
  const run = async (call: CommandCall) => {
    requireConversation(call);
    return definition.run(call);
  };
  return { ...definition, run };
});

/** Who names a person, or a group by its title, is told where the ids are. */
function requireConversation({ arguments: [user, id] }: CommandCall): void {
  if (CONVERSATION_ID.test(id!)) return;
  const where = `\`tricampus conversation list ${user}\``;
  throw new Failure(EXIT.usage, `"${id}" is no conversation's id: see ${where}`);
}
