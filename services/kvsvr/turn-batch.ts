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

/**
 * Calls for the items and tells each answer once, by the item's index, in one piece or many; what is
 * untold when it ends has failed.
 */
export type Send<I, O> = (items: I[], tell: (index: number, answer: O) => void) => Promise<void>;

export class TurnBatch<I, O> {
  readonly #peer: number;
  readonly #send: Send<I, O>;
  #items: I[] = [];
  #askers: Asker<O>[] = [];
  #bytes = 0;
  #scheduled = false;

  /** `peer`: what askers are told. */
  constructor(peer: number, send: Send<I, O>) {
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
    askTogether(this.#peer, { items, askers }, this.#send);
  }
}

/** One call for the items; each asker hears once. */
export function askTogether<I, O>(
  peer: number,
  { items, askers }: { items: I[]; askers: readonly Asker<O>[] },
  send: Send<I, O>,
): void {
  const untold: (Asker<O> | undefined)[] = [...askers];
  const tell = (index: number, answer: O) => {
    const asker = untold[index];
    untold[index] = undefined;
    asker?.answered(peer, answer);
  };
  const end = (error: unknown) => {
    for (const asker of untold) asker?.failed(peer, error ?? unanswered());
  };
  send(items, tell).then(() => end(undefined), end);
}

function unanswered(): RpcError {
  return new RpcError("INTERNAL", "a peer left an item unanswered");
}
