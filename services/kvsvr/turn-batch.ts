/**
 * Gathers what goes to one peer within one turn of the event loop into one call. A call of its own
 * for every key costs more than the vote it carries.
 */
import { RpcError } from "../svrkit/errors.ts";
import { TURN_BYTES_MAX, TURN_ITEMS_MAX } from "./limits.ts";

interface Waiting<I, O> {
  readonly item: I;
  readonly resolve: (answer: O) => void;
  readonly reject: (error: unknown) => void;
}

export class TurnBatch<I, O> {
  readonly #send: (items: I[]) => Promise<readonly O[]>;
  #waiting: Waiting<I, O>[] = [];
  #bytes = 0;
  #scheduled = false;

  /** `send` answers in the order of the items. */
  constructor(send: (items: I[]) => Promise<readonly O[]>) {
    this.#send = send;
  }

  /** `bytes`: about how large the item is. */
  add(item: I, bytes: number): Promise<O> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      this.#bytes += bytes;
      if (this.#waiting.length >= TURN_ITEMS_MAX || this.#bytes >= TURN_BYTES_MAX) this.#flush();
      else if (!this.#scheduled) {
        this.#scheduled = true;
        setImmediate(() => {
          this.#scheduled = false;
          this.#flush();
        });
      }
    });
  }

  #flush(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    this.#bytes = 0;
    this.#send(waiting.map(({ item }) => item)).then(
      (answers) => {
        for (const [i, { resolve, reject }] of waiting.entries()) {
          const answer = answers[i];
          if (answer === undefined)
            reject(new RpcError("INTERNAL", "a peer left an item unanswered"));
          else resolve(answer);
        }
      },
      (error: unknown) => {
        for (const { reject } of waiting) reject(error);
      },
    );
  }
}
