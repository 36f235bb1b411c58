/** What clients' writes hold in memory until they are answered, of all keys together. */
import { RpcError } from "../svrkit/errors.ts";
import { WRITE_BYTES } from "./limits.ts";

export class InFlight {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * `done`, which hears of a write's outcome, to be called in its place: until then its bytes count. Throws
   * OVERLOADED when they have no room; nothing was done then.
   */
  until<O>(done: (outcome: O | RpcError) => void, valueBytes: number): typeof done {
    const bytes = WRITE_BYTES + valueBytes;
    if (this.#bytes + bytes > this.#bytesMax)
      throw new RpcError(
        "OVERLOADED",
        `writes of ${this.#bytes} bytes wait at this replica: retry a little later`,
      );
    this.#bytes += bytes;
    let isOver = false;
    return (outcome) => {
      if (!isOver) this.#bytes -= bytes;
      isOver = true;
      done(outcome);
    };
  }
}
