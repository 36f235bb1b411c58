/**
 * How many calls there may be at once, and how many bytes of requests, of those that are shed and of those that
 * never are. The latter have room above the limit: without it calls that wait for a slow store would keep out the
 * votes that it waits for.
 * Who finds no room is told so by a code on which a caller asks elsewhere: OVERLOADED says that nothing was
 * done, which is not for calls that are never shed. They may be the second half of something. No I/O.
 */

import { NEVER_SHED } from "./admission/priority.ts";
import { RpcError } from "./errors.ts";
import { NEVER_SHED_ROOM, REQUEST_BYTES_MAX } from "./limits.ts";

/** Whether one more call of that priority, beside `open` ones, would be more than `max`. */
export function isFull(open: number, max: number, priority: number): boolean {
  return open >= max && (priority !== NEVER_SHED || open >= max + NEVER_SHED_ROOM);
}

/**
 * The bytes of requests that are kept, by kind: those never shed take no room from the others until both together
 * have all there is, or a slow store's writes would keep out reads that hold nothing.
 */
export class KeptBytes {
  #sheddable = 0;
  #neverShed = 0;

  get all(): number {
    return this.#sheddable + this.#neverShed;
  }

  /** Fewer than none: they are kept no longer. */
  add(bytes: number, priority: number): void {
    if (priority === NEVER_SHED) this.#neverShed += bytes;
    else this.#sheddable += bytes;
  }

  /** Whether a request of so many bytes more is too much to keep. */
  areTooMany(bytes: number, priority: number): boolean {
    if (this.all + bytes > 2 * REQUEST_BYTES_MAX) return true;
    return priority !== NEVER_SHED && this.#sheddable + bytes > REQUEST_BYTES_MAX;
  }
}

export function noRoom(why: string, priority: number): RpcError {
  const code = priority === NEVER_SHED ? "UNAVAILABLE" : "OVERLOADED";
  return new RpcError(code, `${why}: retry a little later`);
}
