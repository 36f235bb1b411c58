/**
 * Working off a stream of a hook: entries become items, items go to the server, what it never took is buried.
 * Of users who deleted their accounts nothing is buried; and a message that is taken back takes with it
 * the letters of its stream that are about it: they were buried before, for its stream is in order. What is to
 * be done once a server was told is repeated by itself: a step that fails is told again, from its beginning.
 * Services of the version before, which keep no letters and do not tell who is gone, hold nothing up.
 */
import {
  encodeHookEntry,
  type HookEntry,
} from "../../../protos/gen/tricampus/logic/v1/hook_codec.ts";
import type { QueueLetters, QueueReader } from "../../queue/client.ts";
import { toBytes } from "../../svrkit/codec.ts";
import { RpcError } from "../../svrkit/errors.ts";
import type { Logger } from "../../svrkit/log.ts";
import { restUnless } from "../../svrkit/rest.ts";
import { orAsBefore } from "../../svrkit/version-before.ts";
import { contentOf, usersOfHook } from "../dead-letter-client.ts";
import { isDefect } from "../defects.ts";
import { takenBackBy } from "../hook-streams.ts";
import type { SlotEntry } from "../streams.ts";
import type { Courier, GivenUp } from "./courier.ts";
import type { Json } from "./plan/event.ts";

/** Items of one step, roughly: how many come again when the process dies. */
const STEP_ITEMS_MAX = 500;
const LETTERS_TIMEOUT_MS = 10_000;
const PAUSE_FIRST_MS = 20;
const PAUSE_LAST_MS = 1_000;
/** So many failures that may be the letters' own, some ten minutes, and the step fails: no stream waits for ever. */
const DEFECTS_MAX = 600;

export interface WorkerParts {
  readonly courier: Pick<Courier, "deliver">;
  /** By message of the entry: what to say of it; undefined: nothing. */
  readonly itemsOf: (entry: HookEntry) => Promise<(Json | undefined)[]>;
  readonly queue: Pick<QueueReader, "bury">;
  readonly letters: Pick<QueueLetters, "all" | "forget">;
  /** Who of these users deleted the account. */
  readonly gone: (userIds: string[]) => Promise<readonly string[]>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Logger;
  readonly stopped: AbortSignal;
}

interface Item {
  readonly slot: number;
  readonly part: number;
  readonly entry: HookEntry;
  readonly json: Json;
}

export class HookWorker {
  readonly #parts: WorkerParts;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
  }

  /** Resolves to the slot through which everything was taken, or buried. */
  async step(stream: string, entries: readonly SlotEntry<HookEntry>[]): Promise<number> {
    const items: Item[] = [];
    const recalled = new Set<string>();
    let through = 0;
    for (const { slot, entry } of entries) {
      through = slot;
      if (entry === undefined) continue;
      items.push(...(await this.#itemsOf(slot, entry)));
      for (const name of [...takenBackBy(entry.messages), ...entry.recalled]) recalled.add(name);
      if (items.length >= STEP_ITEMS_MAX) break;
    }
    const { courier, now } = this.#parts;
    const givenUp = await courier.deliver(
      items.map(({ json, entry }) => ({ json, sinceMs: entry.queuedAtMs || now() })),
    );
    if (givenUp.length > 0) await this.#repeat(stream, () => this.#bury(stream, items, givenUp));
    const forget = () => orAsBefore(this.#forget(stream, recalled), () => {});
    if (recalled.size > 0) await this.#repeat(stream, forget);
    return through;
  }

  /** Until it is done, or the service stops. */
  async #repeat(stream: string, act: () => Promise<void>): Promise<void> {
    const { stopped, log } = this.#parts;
    for (let misses = 0, defects = 0; ; misses++) {
      try {
        return await act();
      } catch (error) {
        stopped.throwIfAborted();
        if (isDefect(RpcError.from(error).code) && ++defects >= DEFECTS_MAX) throw error;
        if (misses === 0)
          log.warn({ err: error, stream }, "dead letters cannot be looked after; trying again");
      }
      await restUnless(stopped, Math.min(PAUSE_LAST_MS, PAUSE_FIRST_MS * 2 ** misses));
    }
  }

  async #itemsOf(slot: number, entry: HookEntry): Promise<Item[]> {
    const items = await this.#parts.itemsOf(entry);
    return items.flatMap((json, part) => (json === undefined ? [] : [{ slot, part, entry, json }]));
  }

  async #bury(stream: string, items: readonly Item[], givenUp: readonly GivenUp[]): Promise<void> {
    const { queue, gone, now } = this.#parts;
    const buriedAtMs = now();
    const letters = givenUp.map(({ at, why }) => {
      const { slot, part, entry } = items[at]!;
      const alone = { ...entry, messages: [entry.messages[part]!], recalled: [] };
      const userIds = usersOfHook(alone.messages, alone.recipientId);
      const payload = toBytes(encodeHookEntry, alone);
      return { userIds, letter: { stream, slot, part, payload, why, buriedAtMs } };
    });
    const userIds = new Set(letters.flatMap((one) => [...one.userIds]));
    const left = new Set(await orAsBefore(gone([...userIds]), () => []));
    const kept = letters.filter(({ userIds }) => userIds.isDisjointFrom(left));
    if (kept.length > 0) await queue.bury(kept.map(({ letter }) => letter));
  }

  async #forget(stream: string, messages: ReadonlySet<string>): Promise<void> {
    const { letters } = this.#parts;
    const options = { timeoutMs: LETTERS_TIMEOUT_MS };
    const found = [];
    for await (const letter of letters.all({ streamStart: `${stream}#` }, options)) {
      if (!(contentOf(letter)?.messages.isDisjointFrom(messages) ?? true)) found.push(letter);
    }
    await letters.forget(found, options);
  }
}
