/** Work on what is one owner's, one piece at a time and first come first served; owners do not wait for each other. */
import { RpcError } from "../../svrkit/errors.ts";
import { Gate } from "./gate.ts";

/** Pieces of one owner, under way and waiting: at some ms each the last one has its turn in time. */
export const TURNS_MAX = 256;

interface Turns {
  readonly gate: Gate;
  count: number;
}

export class OwnerTurns {
  /** Of owners with work. */
  readonly #byOwner = new Map<string, Turns>();

  async run<T>(owner: string, work: () => Promise<T>): Promise<T> {
    const turns = this.#byOwner.get(owner) ?? { gate: new Gate({ min: 1, max: 1 }), count: 0 };
    if (turns.count >= TURNS_MAX) {
      const message = `${TURNS_MAX} changes of one user wait for their turn: wait a little`;
      throw new RpcError("RESOURCE_EXHAUSTED", message);
    }
    this.#byOwner.set(owner, turns);
    turns.count += 1;
    try {
      return await turns.gate.run(1, work);
    } finally {
      turns.count -= 1;
      if (turns.count === 0) this.#byOwner.delete(owner);
    }
  }
}
