/**
 * A batch under way: one reply for many operations. They mostly end together, since they share votes
 * and syncs; one that does not (a takeover, a fetch) must not keep the others waiting, so it is
 * answered as under way and the caller asks for the rest of the batch.
 */
import type { BatchOutcome } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { codes, RpcError } from "../svrkit/errors.ts";
import { BATCH_PATIENCE_MS, BATCHES_KEPT_MAX } from "./limits.ts";

const UNDER_WAY: BatchOutcome = { outcome: { case: "underWay", value: true } };

export class RunningBatch {
  readonly #outcomes: (BatchOutcome | undefined)[];
  /** Items that were not told yet, in order. */
  #untold: number[];
  /** Of those, how many are settled. */
  #ready = 0;
  #done: ((outcomes: BatchOutcome[]) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(items: number) {
    this.#outcomes = new Array(items).fill(undefined);
    this.#untold = Array.from({ length: items }, (_, index) => index);
  }

  /** Everything was told. */
  get isOver(): boolean {
    return this.#untold.length === 0;
  }

  settle(index: number, outcome: NonNullable<BatchOutcome["outcome"]> | RpcError): void {
    if (this.#outcomes[index] !== undefined) return;
    this.#outcomes[index] = outcome instanceof RpcError ? failure(outcome) : { outcome };
    this.#ready += 1;
    this.#look();
  }

  /**
   * `done` hears once: an outcome for every item that was not told before, when all of them are settled
   * or the first of them has waited for the others for a while. One asks at a time.
   */
  next(done: (outcomes: BatchOutcome[]) => void): void {
    this.#done = done;
    this.#look();
  }

  #look(): void {
    if (this.#done === undefined) return;
    if (this.#ready === this.#untold.length) this.#tell();
    else if (this.#ready > 0) this.#timer ??= setTimeout(() => this.#tell(), BATCH_PATIENCE_MS);
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const done = this.#done!;
    this.#done = undefined;
    const outcomes = this.#untold.map((index) => this.#outcomes[index] ?? UNDER_WAY);
    this.#untold = this.#untold.filter((index) => this.#outcomes[index] === undefined);
    this.#ready = 0;
    done(outcomes);
  }
}

/** Batches whose callers ask for the rest; a caller that never comes back makes room for others. */
export class KeptBatches {
  readonly #kept = new Map<number, RunningBatch>();
  #last = 0;

  /** Returns the number under which the batch can be asked for. */
  keep(batch: RunningBatch): number {
    this.#last = (this.#last + 1) >>> 0 || 1;
    this.#kept.set(this.#last, batch);
    if (this.#kept.size > BATCHES_KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value!);
    return this.#last;
  }

  /** Takes the batch out. */
  take(rest: number): RunningBatch | undefined {
    const batch = this.#kept.get(rest);
    this.#kept.delete(rest);
    return batch;
  }
}

function failure({ code, message }: RpcError): BatchOutcome {
  return { outcome: { case: "failure", value: { code: codes[code].number, message } } };
}
