/** `tricampus dead-letters`: entries of the queue that were given up, to look at, to append again or to drop. */
import type { DeadLetter } from "../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import { contentOf, retryOf } from "../../services/logic/dead-letter-client.ts";
import { QueueClient } from "../../services/queue/client.ts";
import {
  DeadLetters,
  type LetterName,
  letterNamed,
  nameOfLetter,
} from "../../services/queue/dead-letters-client.ts";
import { type CommandCall, type CommandDefinition, numberOption, textOption } from "../command.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { type OperatorParts, withReplicas } from "../kv/store.ts";
import { printJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";

const LISTED_DEFAULT = 50;
const TIMEOUT_MS = 10_000;

const WHICH = [
  ["[letters...]", "their names, as `dead-letters list` shows them: events/17@204.0"],
] as const;
const ALL = ["--all", "all of them"] as const;
const STREAMS = [
  "--stream <start>",
  "only of streams whose names begin so: events/, pushes/",
] as const;

export const deadLettersCommands: readonly CommandDefinition[] = [
  {
    name: "dead-letters list",
    summary: "show what was given up: events and pushes no server took, entries nobody can handle",
    options: [["--limit <n>", `so many, ${LISTED_DEFAULT} by default`], STREAMS],
    run: (call) => withReplicas(call, (parts) => list(call, parts)),
  },
  {
    name: "dead-letters retry",
    summary: "append letters to their streams again, and forget them here",
    arguments: WHICH,
    options: [ALL, STREAMS],
    run: (call) => withReplicas(call, (parts) => each(call, parts, "retry")),
  },
  {
    name: "dead-letters drop",
    summary: "forget letters for good",
    arguments: WHICH,
    options: [ALL, STREAMS],
    run: (call) => withReplicas(call, (parts) => each(call, parts, "drop")),
  },
];

async function list(call: CommandCall, { store }: OperatorParts): Promise<ExitCode> {
  const limit = numberOption(call, "limit") ?? LISTED_DEFAULT;
  const found: DeadLetter[] = [];
  for await (const letter of lettersOf(call, new DeadLetters(store))) {
    if (found.length >= limit) break;
    found.push(letter);
  }
  if (call.json) {
    const letters = found.map((letter) => ({ letter: nameOfLetter(letter), ...factsOf(letter) }));
    printJson({ letters });
    return EXIT.ok;
  }
  const rows = found.map((letter) => {
    const { at, about, why } = factsOf(letter);
    return [nameOfLetter(letter), at, about, why];
  });
  console.log(formatTable(["letter", "given up", "about", "why"], rows));
  return EXIT.ok;
}

async function each(
  call: CommandCall,
  { store, inspector }: OperatorParts,
  what: "retry" | "drop",
): Promise<ExitCode> {
  const letters = new DeadLetters(store);
  const queue = new QueueClient(inspector.callee("queue"));
  let done = 0;
  for await (const letter of chosen(call, letters)) {
    if (what === "retry")
      await queue.append(retryOf(letter, Date.now()), { timeoutMs: TIMEOUT_MS });
    await letters.remove([letter]);
    done += 1;
  }
  const did = what === "retry" ? "appended again" : "dropped";
  if (call.json) printJson({ [what]: done });
  else console.log(`${done} ${done === 1 ? "letter" : "letters"} ${did}.`);
  return EXIT.ok;
}

async function* chosen(call: CommandCall, letters: DeadLetters): AsyncIterable<DeadLetter> {
  const isAll = call.options.all === true || textOption(call, "stream") !== undefined;
  if (isAll === call.arguments.length > 0) {
    throw new Failure(EXIT.usage, "name letters, or say --all or --stream: not both");
  }
  if (isAll) yield* standing(call, letters);
  for (const text of call.arguments) {
    const name = letterNamed(text);
    const letter = name && (await letters.find(name));
    if (letter === undefined)
      throw new Failure(
        EXIT.failed,
        `there is no letter "${text}": see \`tricampus dead-letters list\``,
      );
    yield letter;
  }
}

/** Those that stand now: what is appended again and given up meanwhile is not met a second time. */
async function* standing(call: CommandCall, letters: DeadLetters): AsyncIterable<DeadLetter> {
  const names: LetterName[] = [];
  for await (const { stream, slot, part } of lettersOf(call, letters))
    names.push({ stream, slot, part });
  for (const name of names) {
    const letter = await letters.find(name);
    if (letter !== undefined) yield letter;
  }
}

function lettersOf(call: CommandCall, letters: DeadLetters): AsyncIterable<DeadLetter> {
  return letters.all(textOption(call, "stream"));
}

function factsOf(letter: DeadLetter) {
  const { why, buriedAtMs } = letter;
  const about = contentOf(letter)?.about ?? `${letter.payload.length} bytes that cannot be read`;
  return { at: new Date(buriedAtMs).toISOString(), about, why };
}
