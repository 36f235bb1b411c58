/**
 * Dead letters for servers of integrators: what was never told them, or could not be handled. What is in a
 * letter they are not shown, only what it is about: texts are for who may read the conversation.
 */
import type {
  DeadLetterInfo,
  DeadLetterNames,
  DeadLettersDone,
  DeadLettersReply,
  DeadLettersRequest,
} from "../../../protos/gen/tricampus/client/v1/admin_codec.ts";
import type { DeadLetter } from "../../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import type { QueueClient, QueueLetters } from "../../queue/client.ts";
import { type LetterName, letterNamed, nameOfLetter } from "../../queue/dead-letters-client.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import { requireArgument } from "../../svrkit/errors.ts";
import { contentOf, retryOf } from "../dead-letter-client.ts";
import type { ApiScope } from "./api-keys-client.ts";

const SCOPE: ApiScope = "dead-letters";
const PAGE = 50;
const PAGE_MAX = 200;
/** One after the other, in the time of one request. */
const NAMES_MAX = 20;
const STREAM_CHARACTERS_MAX = 200;

export interface AdminLettersParts {
  readonly letters: Pick<QueueLetters, "page" | "find" | "forget">;
  readonly queue: Pick<QueueClient, "append">;
  /** The key's name; throws when it may not. */
  readonly keyOf: (call: Call, scope: ApiScope) => string;
  /** Writes down what is done before it is done. */
  readonly note: (
    done: { key: string; method: string; userId: string },
    call: Call,
  ) => Promise<void>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class AdminLettersHandlers {
  readonly #parts: AdminLettersParts;

  constructor(parts: AdminLettersParts) {
    this.#parts = parts;
  }

  async list({ stream, after, limit }: DeadLettersRequest, call: Call): Promise<DeadLettersReply> {
    this.#parts.keyOf(call, SCOPE);
    const isShort = stream.length <= STREAM_CHARACTERS_MAX;
    requireArgument(isShort, `stream: up to ${STREAM_CHARACTERS_MAX} characters`);
    requireArgument(limit <= PAGE_MAX, `limit: 1-${PAGE_MAX}`);
    const behind = after === "" ? undefined : nameIn(after);
    const which = { streamStart: stream, after: behind, limit: limit || PAGE };
    const { letters, more } = await this.#parts.letters.page(which, forward(call));
    const last = letters.at(-1);
    const next = more && last !== undefined ? nameOfLetter(last) : "";
    return { letters: letters.map(infoOf), next };
  }

  retry(request: DeadLetterNames, call: Call): Promise<DeadLettersDone> {
    return this.#each(request, "Admin/RetryDeadLetters", call);
  }

  drop(request: DeadLetterNames, call: Call): Promise<DeadLettersDone> {
    return this.#each(request, "Admin/DropDeadLetters", call);
  }

  async #each(
    request: DeadLetterNames,
    method: "Admin/RetryDeadLetters" | "Admin/DropDeadLetters",
    call: Call,
  ): Promise<DeadLettersDone> {
    const { letters, queue, keyOf, note, now } = this.#parts;
    const key = keyOf(call, SCOPE);
    const isRight = request.letters.length >= 1 && request.letters.length <= NAMES_MAX;
    requireArgument(isRight, `letters: 1-${NAMES_MAX}`);
    const names = request.letters.map(nameIn);
    await note({ key, method, userId: "" }, call);
    const did: DeadLettersDone = { done: [], missing: [] };
    for (const name of names) {
      const letter = await letters.find(name, forward(call));
      if (letter === undefined) {
        did.missing.push(nameOfLetter(name));
        continue;
      }
      if (method === "Admin/RetryDeadLetters")
        await queue.append(retryOf(letter, now()), forward(call));
      await letters.forget([name], forward(call));
      did.done.push(nameOfLetter(name));
    }
    return did;
  }
}

function nameIn(text: string): LetterName {
  const name = letterNamed(text);
  requireArgument(name !== undefined, `"${text.slice(0, 100)}" is no letter's name`);
  return name;
}

function infoOf(letter: DeadLetter): DeadLetterInfo {
  const { payload, why, buriedAtMs: givenUpAtMs } = letter;
  const about = contentOf(letter)?.about ?? "";
  return { letter: nameOfLetter(letter), givenUpAtMs, about, why, bytes: payload.length };
}
