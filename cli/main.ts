/** The `tricampus` command: what is the same for all commands. */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, CommanderError } from "commander";
import { ConfigError } from "../services/platform/config.ts";
import { readJson } from "../services/platform/paths.ts";
import { asCalled } from "./called.ts";
import { contextDir } from "./cluster/saved.ts";
import type { CommandDefinition } from "./command.ts";
import { commandsFor } from "./commands.ts";
import { complain, EXIT, Failure } from "./failure.ts";
import { printJson } from "./output/json.ts";

const FAMILIES: Readonly<Record<string, string>> = {
  campus: "kill, start, cut off, join, freeze, thaw, block or unblock a campus",
  drill: "drills: block a campus, watch, and judge; make a verdict again",
  user: "make users",
  account: "a user's account: profile, settings, devices, password, deletion",
  contact: "contacts: list, ask, accept, remark, tag, block, policy",
  group: "groups: create, invite, join, leave; members and their roles; mute, announce, dismiss",
  conversation: "conversations: list, read, pin, mute, draft, delete, history",
  media: "files, images and videos: get, show, delete (send has --file, --image, --video)",
  moments: "what users show their contacts: post, list, like, comment, delete",
  message: "messages: take back, delete, who has read",
  kv: "the store, as its operator: read, write, scan, watch, compare, back up, restore, rebuild, force",
  "kv group": "KV groups: show them, add one, remove the last, give a replica a new volume",
  queue: "the queue's logs: rebuild",
  "dead-letters": "entries of the queue that were given up: list, retry, drop",
  "api-key": "keys of integrators' servers: create, list, revoke",
  tls: "certificates for services: issue",
  slots: "which KV group serves which slots: show, move, rebalance, cancel",
};

const EXIT_CODES = `
Exit codes: 0 done; 1 failed or refused, the ledger is not clean, a key is absent or at another version, or
replicas differ; 2 the command line or the configuration is wrong; 3 the platform is not running or cannot
be reached, or not all of it.`;

const REPOSITORY_DATA = fileURLToPath(new URL("../data", import.meta.url));
const PACKAGE = fileURLToPath(new URL("../package.json", import.meta.url));
const DEFAULT_DATA_DIR = process.env.TRICAMPUS_DATA ?? REPOSITORY_DATA;

function buildProgram(commands: readonly CommandDefinition[]): Command {
  const program = new Command("tricampus")
    .description("Three campuses that carry conversations, on this machine or in a cluster.")
    .option("--context <name>", "the platform in this kubectl context (else $TRICAMPUS_CONTEXT)")
    .option("--namespace <name>", "its namespace; default: the context's")
    .option("--data-center <name>", "its DataCenter, when there are several")
    .option(
      "--data-dir <dir>",
      "the platform's data folder (else $TRICAMPUS_DATA, else ./data here)",
    )
    .option("--json", "print JSON for programs")
    // Handled below, before commander is asked.
    .addHelpText("after", "\n`tricampus --version` prints the version.")
    .configureHelp({ showGlobalOptions: true })
    .addHelpText("after", EXIT_CODES)
    .exitOverride(refuse(""))
    // What goes wrong is one line, by `report`: neither commander's own, nor the help that was not asked for.
    .configureOutput({ outputError: () => {}, writeErr: () => {} });
  const families = new Map<string, Command>();
  for (const definition of commands) {
    const words = definition.name.split(" ");
    let parent = program;
    for (let depth = 1; depth < words.length; depth++) {
      const name = words.slice(0, depth).join(" ");
      const found = families.get(name) ?? family(parent, name, FAMILIES[name]!);
      families.set(name, found);
      parent = found;
    }
    addCommand(program, { parent, name: words.at(-1)! }, definition);
  }
  return program;
}

function family(parent: Command, name: string, summary: string): Command {
  return parent
    .command(name.split(" ").at(-1)!)
    .description(summary)
    .addHelpText("after", EXIT_CODES)
    .exitOverride(refuse(`${name} `));
}

/** What to do when commander ends at a command: its own words, and where to read how it is meant. */
function refuse(name: string): (error: CommanderError) => never {
  return (error) => {
    if (error.exitCode === 0) throw error;
    const said = error.code === "commander.help" ? "name a command" : error.message;
    const what = said.replace(/^error: /, "").replaceAll("\n", " ");
    throw new Failure(EXIT.usage, `${what}; see \`tricampus ${name}--help\``);
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function addCommand(
  program: Command,
  { parent, name }: { parent: Command; name: string },
  definition: CommandDefinition,
): void {
  const command = parent
    .command(name)
    .description(definition.summary)
    .exitOverride(refuse(`${definition.name} `));
  for (const [syntax, text] of definition.arguments ?? []) command.argument(syntax, text);
  for (const [flags, text] of definition.options ?? []) command.option(flags, text);
  command.addHelpText("after", EXIT_CODES).action(async (...given: unknown[]) => {
    const options = { ...program.opts(), ...command.opts() };
    const context = textOf(options.context) ?? process.env.TRICAMPUS_CONTEXT;
    process.exitCode = await definition.run({
      arguments: given.slice(0, -2).flat() as string[],
      options,
      json: options.json === true,
      dataDir:
        context === undefined || options.dataDir !== undefined
          ? resolve(String(options.dataDir ?? DEFAULT_DATA_DIR))
          : contextDir(process.env, context),
      context,
    });
  });
}

/** One line that says what to do, and the exit code. */
function report(error: unknown): void {
  if (error instanceof CommanderError) {
    if (error.exitCode !== 0) fail(EXIT.usage, error.message);
  } else if (error instanceof Failure) {
    fail(error.exitCode, error.message);
  } else if (error instanceof ConfigError) {
    fail(EXIT.usage, error.message);
  } else {
    const message = error instanceof Error ? error.message : String(error);
    fail(EXIT.failed, isRefusedByStorage(error) ? `${message}: ${STORAGE_ADVICE}` : message);
  }
}

const STORAGE_ADVICE = "free space or make it writable, or name another folder with --data-dir";

function isRefusedByStorage(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code ?? "";
  return ["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM"].includes(code);
}

function fail(exitCode: number, message: string): void {
  process.exitCode = exitCode;
  if (process.argv.includes("--json")) printJson({ error: asCalled(message) });
  complain(message);
}

/** Output that somebody reads slowly is written by then. */
const LEAVE_MS = 3_000;

// `tricampus status | head -1` closes our output early: that is not an error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(EXIT.ok);
  throw error;
});

try {
  const words = process.argv.slice(2);
  // Not an option of commander's, which would take `kv cas --version 1` for it.
  if (words[0] === "--version") console.log(readJson<{ version: string }>(PACKAGE)!.version);
  else await buildProgram(await commandsFor(words)).parseAsync();
} catch (error) {
  report(error);
}
// All is done and said. What is left are connections to peers that have fallen silent: a WebSocket that
// nobody answers would keep this process for a quarter of an hour.
setTimeout(() => process.exit(), LEAVE_MS).unref();
