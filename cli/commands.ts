/**
 * The table of commands by their first word. A module is read when its word stands in the command line:
 * reading all of them takes longer than most commands run.
 */
import type { CommandDefinition } from "./command.ts";

type Load = () => Promise<CommandDefinition | readonly CommandDefinition[]>;

const conversationAndMessage: Load = () =>
  import("./commands/conversation.ts").then((module) => module.conversationCommands);

/** In the order of --help. */
const COMMANDS: Readonly<Record<string, readonly Load[]>> = {
  up: [() => import("./commands/up.ts").then((module) => module.upCommand)],
  down: [() => import("./commands/down.ts").then((module) => module.downCommand)],
  clean: [() => import("./commands/clean.ts").then((module) => module.cleanCommand)],
  status: [() => import("./commands/status.ts").then((module) => module.statusCommand)],
  plan: [() => import("./commands/plan.ts").then((module) => module.planCommand)],
  top: [() => import("./commands/top.ts").then((module) => module.topCommand)],
  trace: [() => import("./commands/trace.ts").then((module) => module.traceCommand)],
  campus: [
    () => import("./commands/campus.ts").then((module) => module.campusCommands),
    () => import("./commands/block.ts").then((module) => module.blockCommands),
  ],
  drill: [() => import("./commands/drill.ts").then((module) => module.drillCommands)],
  user: [() => import("./commands/user.ts").then((module) => module.userCommands)],
  account: [() => import("./commands/account.ts").then((module) => module.accountCommands)],
  contact: [() => import("./commands/contact.ts").then((module) => module.contactCommands)],
  chat: [() => import("./commands/chat.ts").then((module) => module.chatCommand)],
  send: [() => import("./commands/send.ts").then((module) => module.sendCommand)],
  sync: [() => import("./commands/sync.ts").then((module) => module.syncCommand)],
  group: [() => import("./commands/group.ts").then((module) => module.groupCommands)],
  conversation: [conversationAndMessage],
  message: [conversationAndMessage],
  media: [() => import("./commands/media.ts").then((module) => module.mediaCommands)],
  moments: [() => import("./commands/moments.ts").then((module) => module.momentsCommands)],
  kv: [
    () => import("./commands/kv.ts").then((module) => module.kvCommands),
    () => import("./commands/kv-verify.ts").then((module) => module.kvVerifyCommand),
    () => import("./commands/kv-backup.ts").then((module) => module.kvBackupCommands),
    () => import("./commands/kv-rebuild.ts").then((module) => module.kvRebuildCommand),
    () => import("./commands/kv-force.ts").then((module) => module.kvForceCommand),
    () => import("./commands/kv-group.ts").then((module) => module.kvGroupCommands),
    () => import("./commands/kv-group-show.ts").then((module) => module.kvGroupShowCommand),
    () => import("./commands/kv-group-replace.ts").then((module) => module.kvGroupReplaceCommand),
  ],
  slots: [() => import("./commands/slots.ts").then((module) => module.slotsCommands)],
  queue: [() => import("./commands/queue-rebuild.ts").then((module) => module.queueRebuildCommand)],
  "dead-letters": [
    () => import("./commands/dead-letters.ts").then((module) => module.deadLettersCommands),
  ],
  tls: [() => import("./commands/tls.ts").then((module) => module.tlsCommands)],
  "api-key": [() => import("./commands/api-key.ts").then((module) => module.apiKeyCommands)],
  replay: [() => import("./commands/replay.ts").then((module) => module.replayCommand)],
  load: [() => import("./commands/load.ts").then((module) => module.loadCommand)],
  audit: [() => import("./commands/audit.ts").then((module) => module.auditCommand)],
  demo: [() => import("./commands/demo.ts").then((module) => module.demoCommand)],
};

/** Those that the command line may mean; all of them when it names none. */
export async function commandsFor(words: readonly string[]): Promise<readonly CommandDefinition[]> {
  const meant = Object.keys(COMMANDS).filter((word) => words.includes(word));
  const loads = (meant.length > 0 ? meant : Object.keys(COMMANDS)).flatMap(
    (word) => COMMANDS[word]!,
  );
  const loaded = await Promise.all([...new Set(loads)].map((load) => load()));
  return loaded.flat();
}
