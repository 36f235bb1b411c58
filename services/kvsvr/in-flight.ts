/** What clients' writes hold in memory until they are answered, of all keys together. */
import { NEVER_SHED } from "../svrkit/admission/priority.ts";
import type { RpcError } from "../svrkit/errors.ts";
import { noRoom } from "../svrkit/room.ts";
import { WRITE_BYTES } from "./limits.ts";

/** Writes that are never shed have as much more room, of the limit: blocks, and second halves of something. */
const NEVER_SHED_SHARE = 0.25;

export class InFlight {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * `done`, which hears of a write's outcome, to be called in its place: until then its bytes count. Throws
   * when they have no room; nothing was done then.
   */
  until<O>(
    done: (outcome: O | RpcError) => void,
    { valueBytes, priority }: { valueBytes: number; priority: number },
  ): typeof done {
    const bytes = WRITE_BYTES + valueBytes;
    const share = priority === NEVER_SHED ? 1 + NEVER_SHED_SHARE : 1;
    if (this.#bytes + bytes > this.#bytesMax * share)
      throw noRoom(`writes of ${this.#bytes} bytes wait at this replica`, priority);
    this.#bytes += bytes;
    let isOver = false;
    return (outcome) => {
      if (!isOver) this.#bytes -= bytes;
      isOver = true;
      done(outcome);
    };
  }
}
