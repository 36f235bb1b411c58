/** Working off a stream of a hook: entries become items, items go to the server, what it never took is buried. */
import {
  encodeHookEntry,
  type HookEntry,
} from "../../../protos/gen/tricampus/logic/v1/hook_codec.ts";
import type { QueueReader } from "../../queue/client.ts";
import { toBytes } from "../../svrkit/codec.ts";
import type { SlotEntry } from "../streams.ts";
import type { Courier } from "./courier.ts";
import type { Json } from "./plan/event.ts";

/** Items of one step, roughly: how many come again when the process dies. */
const STEP_ITEMS_MAX = 500;

export interface WorkerParts {
  readonly courier: Pick<Courier, "deliver">;
  /** By message of the entry: what to say of it; undefined: nothing. */
  readonly itemsOf: (entry: HookEntry) => Promise<(Json | undefined)[]>;
  readonly queue: Pick<QueueReader, "bury">;
  /** Milliseconds since 1970. */
  readonly now: () => number;
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
    let through = 0;
    for (const { slot, entry } of entries) {
      through = slot;
      if (entry !== undefined) items.push(...(await this.#itemsOf(slot, entry)));
      if (items.length >= STEP_ITEMS_MAX) break;
    }
    const { courier, queue, now } = this.#parts;
    const givenUp = await courier.deliver(items.map(({ json }) => json));
    const buriedAtMs = now();
    const letters = givenUp.map(({ at, why }) => {
      const { slot, part, entry } = items[at]!;
      const alone = { ...entry, messages: [entry.messages[part]!] };
      return { stream, slot, part, payload: toBytes(encodeHookEntry, alone), why, buriedAtMs };
    });
    if (letters.length > 0) await queue.bury(letters);
    return through;
  }

  async #itemsOf(slot: number, entry: HookEntry): Promise<Item[]> {
    const items = await this.#parts.itemsOf(entry);
    return items.flatMap((json, part) => (json === undefined ? [] : [{ slot, part, entry, json }]));
  }
}
