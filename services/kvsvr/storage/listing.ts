/** All keys in order, page by page, wherever the newest of each is: in the engine, in memory, or in the log alone. */
import type { Key } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import { REPLAY_TURN_MS } from "../limits.ts";
import { behindFloor, type Floor, isNowhere } from "../protocol/absent.ts";
import type { Register } from "../protocol/register.ts";
import { type Dirty, NO_LIMIT } from "./dirty.ts";
import type { StateEngine } from "./engine.ts";
import type { Entry } from "./entry.ts";
import { keyOf, latin1, slotGroup } from "./record.ts";
import type { Replay } from "./replay.ts";
import type { Shelf } from "./shelf.ts";
import { groupsOf, type Slice } from "./slot-removal.ts";
import { viewRegister } from "./stored-register.ts";

const NAMES_AT_ONCE = 500;

export interface Listed {
  readonly entryKey: Buffer;
  /** undefined: a record of the key is damaged, and what there was of it is not known here. */
  readonly register: Register | undefined;
}

export interface Page {
  readonly listed: Listed[];
  /** The cursor behind which others follow; undefined at the end. */
  readonly next: Buffer | undefined;
}

export interface ListingParts {
  readonly engine: StateEngine;
  readonly shelf: Shelf;
  readonly replay: Replay;
  /** What is newer than the engine's, older first. */
  readonly newer: () => readonly Dirty[];
  /** The key's entry; undefined: it is damaged, and noted. */
  readonly readable: (key: Key) => Entry | undefined;
  /** The next checkpoint writes the entry. */
  readonly changed: (entry: Entry) => void;
  readonly floorOf: (registerKey: Buffer) => Floor;
}

export class Listing {
  readonly #parts: ListingParts;

  constructor(parts: ListingParts) {
    this.#parts = parts;
  }

  /**
   * About `limit` keys above the cursor, in order, with their registers: from memory where newer. `next`:
   * the cursor behind which others follow; undefined at the end.
   */
  page(after: Buffer | undefined, limit: number): Page {
    const stored = this.#parts.engine.keys(after, limit);
    const last = stored.length < limit ? undefined : stored.at(-1)!.registerKey;
    const floor = after === undefined ? "" : latin1(after);
    const firstGroup = after === undefined ? 0 : slotGroup(after);
    const lastStored = last === undefined ? NO_LIMIT : slotGroup(last);
    const lastGroup = this.#lastGroup(firstGroup, lastStored, limit);
    const newer = this.#parts.newer();
    const ceiling = last !== undefined && slotGroup(last) === lastGroup ? latin1(last) : undefined;
    const found = new Map<string, Register | undefined>();
    for (const { registerKey, register } of stored) {
      if (slotGroup(registerKey) <= lastGroup)
        found.set(latin1(registerKey), register && viewRegister(register).register);
    }
    for (const id of newer.flatMap((dirty) => dirty.within(firstGroup, lastGroup))) {
      // The engine has it by now, and its number may be another key's.
      if (!this.#parts.shelf.isNewer(id)) continue;
      const { registerKey, register } = this.#parts.shelf.look(id);
      const group = slotGroup(registerKey);
      if (group < firstGroup || group > lastGroup) continue;
      const at = latin1(registerKey);
      if (at > floor && (ceiling === undefined || at <= ceiling)) found.set(at, register);
    }
    const names = [...found.keys()].sort();
    const listed = names.flatMap((at): Listed[] => {
      const entryKey = Buffer.from(at, "latin1");
      const sound = this.#soundOf(entryKey, found.get(at));
      if (sound === undefined) return [{ entryKey, register: undefined }];
      const register = behindFloor(sound, this.#parts.floorOf(entryKey).version);
      return isNowhere(register) ? [] : [{ entryKey, register }];
    });
    if (lastGroup === NO_LIMIT) return { listed, next: undefined };
    const name = names.at(-1);
    const next = name === undefined ? beginning(lastGroup + 1) : Buffer.from(name, "latin1");
    return { listed, next };
  }

  /** `listed`: what a listing has found of the key; undefined: its record is damaged. */
  #soundOf(own: Buffer, listed: Register | undefined): Register | undefined {
    if (listed !== undefined) return listed;
    // What memory has is as good, and mends the record; else it is noted now.
    const entry = this.#parts.readable(keyOf(own));
    if (entry !== undefined) this.#parts.changed(entry);
    return entry?.register;
  }

  /**
   * The slot that ends a page: what is only in memory, or the log, is cut off so, not walked through. Of the
   * log no more is taken in for a page than a turn has time for.
   */
  #lastGroup(first: number, lastStored: number, limit: number): number {
    const newer = this.#parts.newer();
    const startedMs = monotonicMs();
    for (let unlooked = this.#parts.replay.left === 0 ? undefined : first; ; ) {
      const last = Math.min(lastStored, ...newer.map((dirty) => dirty.through(first, limit)));
      if (unlooked === undefined || unlooked > last) return last;
      if (monotonicMs() - startedMs >= REPLAY_TURN_MS) return unlooked - 1;
      unlooked = this.#parts.replay.ofSlots(unlooked, last, limit);
    }
  }

  /** Keys of these slots of which there is something; version 0: it is damaged. */
  namesWithin(slice: Slice): { key: Key; name: string; version: number }[] {
    const all: { key: Key; name: string; version: number }[] = [];
    const [first, last] = groupsOf(slice);
    let after: Buffer | undefined = beginning(first);
    while (after !== undefined) {
      const page: Page = this.page(after, NAMES_AT_ONCE);
      for (const { entryKey, register } of page.listed) {
        if (slotGroup(entryKey) > last) return all;
        const version = register?.known.version ?? 0;
        all.push({ key: keyOf(entryKey), name: latin1(entryKey), version });
      }
      after = page.next;
    }
    return all;
  }
}

/** The cursor in front of a slot's keys. */
function beginning(group: number): Buffer {
  return Buffer.from([group >> 16, (group >> 8) & 0xff, group & 0xff]);
}
