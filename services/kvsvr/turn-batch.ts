/**
 * Gathers what goes to one peer within one turn of the event loop into one call. A call of its own
 * for every key costs more than the vote it carries.
 */
import { RpcError } from "../svrkit/errors.ts";
import { TURN_BYTES_MAX, TURN_ITEMS_MAX } from "./limits.ts";

/** Who asked: hears exactly once for every item. A callback, since a promise costs as much as a vote. */
export interface Asker<O> {
  answered(peer: number, answer: O): void;
  failed(peer: number, error: unknown): void;
}

export class TurnBatch<I, O> {
  readonly #peer: number;
  readonly #send: (items: I[]) => Promise<readonly O[]>;
  #items: I[] = [];
  #askers: Asker<O>[] = [];
  #bytes = 0;
  #scheduled = false;

  /** `peer`: what askers are told; `send` answers in the order of the items. */
  constructor(peer: number, send: (items: I[]) => Promise<readonly O[]>) {
    this.#peer = peer;
    this.#send = send;
  }

  /** `bytes`: about how large the item is. */
  add(item: I, bytes: number, asker: Asker<O>): void {
    this.#items.push(item);
    this.#askers.push(asker);
    this.#bytes += bytes;
    if (this.#items.length >= TURN_ITEMS_MAX || this.#bytes >= TURN_BYTES_MAX) this.#flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#flush();
      });
    }
  }

  #flush(): void {
    const items = this.#items;
    const askers = this.#askers;
    if (items.length === 0) return;
    this.#items = [];
    this.#askers = [];
    this.#bytes = 0;
    this.#send(items).then(
      (answers) => this.#tell(askers, answers),
      (error: unknown) => {
        for (const asker of askers) asker.failed(this.#peer, error);
      },
    );
  }

  #tell(askers: readonly Asker<O>[], answers: readonly O[]): void {
    for (const [i, asker] of askers.entries()) {
      const answer = answers[i];
      if (answer !== undefined) asker.answered(this.#peer, answer);
      else asker.failed(this.#peer, new RpcError("INTERNAL", "a peer left an item unanswered"));
    }
  }
}
