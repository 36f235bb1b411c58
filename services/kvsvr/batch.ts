/**
 * A batch under way: one reply for many operations. They mostly end together, since they share votes
 * and syncs; one that does not (a takeover, a fetch) must not keep the others waiting, so it is
 * answered as under way and the caller asks for the rest of the batch. So is what would make the reply
 * larger than BATCH_REPLY_BYTES: no frame would carry it, and everything in it would be taken for refused.
 */
import type { BatchOutcome } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { codes, RpcError } from "../svrkit/errors.ts";
import { BATCH_PATIENCE_MS, BATCH_REPLY_BYTES, BATCHES_KEPT_MAX } from "./limits.ts";

/** About what an outcome takes besides its value, and so does a result of a change. */
const OUTCOME_BYTES = 48;
const RESULT_BYTES = 24;

const UNDER_WAY: BatchOutcome = { outcome: { case: "underWay", value: true } };

export class RunningBatch {
  readonly #outcomes: (BatchOutcome | undefined)[];
  /** Items that were not told yet, in order. */
  #untold: number[];
  /** Of those, how many are settled, and about how large their outcomes are. */
  #ready = 0;
  #readyBytes = 0;
  #done: ((outcomes: BatchOutcome[]) => void) | undefined;
  /** Hears by how many bytes it grows while it is kept. */
  onGrowth: ((bytes: number) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(items: number) {
    this.#outcomes = new Array(items).fill(undefined);
    this.#untold = Array.from({ length: items }, (_, index) => index);
  }

  /** Everything was told. */
  get isOver(): boolean {
    return this.#untold.length === 0;
  }

  /** About what settled outcomes hold in memory until they are asked for. */
  get readyBytes(): number {
    return this.#readyBytes;
  }

  settle(index: number, outcome: NonNullable<BatchOutcome["outcome"]> | RpcError): void {
    if (this.#outcomes[index] !== undefined) return;
    const settled = outcome instanceof RpcError ? failure(outcome) : { outcome };
    this.#outcomes[index] = settled;
    this.#ready += 1;
    const bytes = sizeOf(settled);
    this.#readyBytes += bytes;
    this.onGrowth?.(bytes);
    this.#look();
  }

  /**
   * `done` hears once: an outcome for every item that was not told before, when all of them are settled,
   * as many as one reply takes, or the first of them has waited for the others for a while. One asks at
   * a time.
   */
  next(done: (outcomes: BatchOutcome[]) => void): void {
    this.#done = done;
    this.#look();
  }

  /** Nobody will ask: what is settled, and what will be, is not kept. */
  drop(): void {
    this.#outcomes.fill(UNDER_WAY);
    this.#readyBytes = 0;
  }

  #look(): void {
    if (this.#done === undefined) return;
    const isFull = this.#readyBytes > BATCH_REPLY_BYTES;
    if (isFull || this.#ready === this.#untold.length) this.#tell();
    else if (this.#ready > 0) this.#timer ??= setTimeout(() => this.#tell(), BATCH_PATIENCE_MS);
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const done = this.#done!;
    this.#done = undefined;
    let bytes = 0;
    const left: number[] = [];
    const outcomes = this.#untold.map((index) => {
      const settled = this.#outcomes[index];
      if (settled !== undefined && bytes < BATCH_REPLY_BYTES) {
        bytes += sizeOf(settled);
        this.#ready -= 1;
        // Told: its value is not held any longer.
        this.#outcomes[index] = UNDER_WAY;
        return settled;
      }
      left.push(index);
      return UNDER_WAY;
    });
    this.#untold = left;
    this.#readyBytes -= bytes;
    done(outcomes);
  }
}

/**
 * Batches whose callers ask for the rest, bounded in number and bytes; one that never comes back makes room
 * for others, and one that comes too late asks for its items alone.
 */
export class KeptBatches {
  readonly #kept = new Map<number, RunningBatch>();
  readonly #bytesMax: number;
  #bytes = 0;
  #last = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Returns the number under which the batch can be asked for. */
  keep(batch: RunningBatch): number {
    this.#last = (this.#last + 1) >>> 0 || 1;
    this.#kept.set(this.#last, batch);
    batch.onGrowth = (bytes) => this.#grow(bytes);
    this.#grow(batch.readyBytes);
    return this.#last;
  }

  /** Takes the batch out. */
  take(rest: number): RunningBatch | undefined {
    const batch = this.#kept.get(rest);
    if (batch === undefined) return undefined;
    this.#kept.delete(rest);
    this.#bytes -= batch.readyBytes;
    batch.onGrowth = undefined;
    return batch;
  }

  #grow(bytes: number): void {
    this.#bytes += bytes;
    while (this.#kept.size > BATCHES_KEPT_MAX || this.#bytes > this.#bytesMax)
      this.take(this.#kept.keys().next().value!)!.drop();
  }
}

function failure({ code, message }: RpcError): BatchOutcome {
  return { outcome: { case: "failure", value: { code: codes[code].number, message } } };
}

/** About what an outcome takes on the wire. */
function sizeOf({ outcome }: BatchOutcome): number {
  switch (outcome?.case) {
    case "get":
      return OUTCOME_BYTES + outcome.value.value.length;
    case "change":
      return outcome.value.results.reduce(
        (sum, { value }) => sum + RESULT_BYTES + value.length,
        OUTCOME_BYTES,
      );
    case "failure":
      return OUTCOME_BYTES + outcome.value.message.length;
    default:
      return OUTCOME_BYTES;
  }
}
