/**
 * How many calls there may be at once, and how many bytes of requests, of those that are shed and of those that
 * never are. The latter have room above the limit: without it calls that wait for a slow store would keep out the
 * votes that it waits for.
 * Who finds no room is told so by a code on which a caller asks elsewhere: OVERLOADED says that nothing was
 * done, which is not for calls that are never shed. They may be the second half of something. Pure.
 */

import { NEVER_SHED } from "./admission/priority.ts";
import { RpcError } from "./errors.ts";
import { NEVER_SHED_ROOM, REQUEST_BYTES_MAX } from "./limits.ts";

/** Whether one more call of that priority, beside `open` ones, would be more than `max`. */
export function isFull(open: number, max: number, priority: number): boolean {
  return open >= max && (priority !== NEVER_SHED || open >= max + NEVER_SHED_ROOM);
}

/** Whether a request of so many bytes, beside those `held`, is too much to keep. */
export function areTooMany(bytes: number, held: number, priority: number): boolean {
  return held + bytes > (priority === NEVER_SHED ? 2 * REQUEST_BYTES_MAX : REQUEST_BYTES_MAX);
}

export function noRoom(why: string, priority: number): RpcError {
  const code = priority === NEVER_SHED ? "UNAVAILABLE" : "OVERLOADED";
  return new RpcError(code, `${why}: retry a little later`);
}
