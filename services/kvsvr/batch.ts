/**
 * A batch under way: one reply for many operations. They mostly end together, since they share votes
 * and syncs; one that does not (a takeover, a fetch) must not keep the others waiting, so it is
 * answered as under way and the caller asks again for it alone.
 */
import type { BatchOutcome } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { codes, RpcError } from "../svrkit/errors.ts";
import { BATCH_PATIENCE_MS } from "./limits.ts";

const UNDER_WAY: BatchOutcome = { outcome: { case: "underWay", value: true } };

export class RunningBatch {
  readonly #outcomes: (BatchOutcome | undefined)[];
  readonly #done: (outcomes: BatchOutcome[]) => void;
  #open: number;
  #timer: NodeJS.Timeout | undefined;
  #answered = false;

  /** `done` hears once, with an outcome for every item. */
  constructor(items: number, done: (outcomes: BatchOutcome[]) => void) {
    this.#outcomes = new Array(items).fill(undefined);
    this.#done = done;
    this.#open = items;
    if (items === 0) this.#answer();
  }

  settle(index: number, outcome: NonNullable<BatchOutcome["outcome"]> | RpcError): void {
    if (this.#answered || this.#outcomes[index] !== undefined) return;
    this.#outcomes[index] = outcome instanceof RpcError ? failure(outcome) : { outcome };
    this.#open -= 1;
    if (this.#open === 0) this.#answer();
    else this.#timer ??= setTimeout(() => this.#answer(), BATCH_PATIENCE_MS);
  }

  #answer(): void {
    clearTimeout(this.#timer);
    this.#answered = true;
    this.#done(this.#outcomes.map((outcome) => outcome ?? UNDER_WAY));
  }
}

function failure({ code, message }: RpcError): BatchOutcome {
  return { outcome: { case: "failure", value: { code: codes[code].number, message } } };
}
