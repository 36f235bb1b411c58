/**
 * The pipeline towards one peer (S1): an ordered, asynchronous, batched stream of "version n is
 * decided" notices and of decided values that the peer was not asked to vote for.
 *
 * One batch is under way at a time; what comes meanwhile waits for the next. A peer that is away
 * costs a bounded backlog, then everything is dropped and the peer is told to compare (`gap`).
 */
import { type PipelineItem, Replica } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { rest } from "../../svrkit/rest.ts";
import { PIPELINE_BACKLOG_BYTES_MAX, PIPELINE_BATCH_BYTES, PIPELINE_GATHER_MS } from "../limits.ts";
import type { Peers } from "../peers.ts";
import type { HeldEpoch } from "../protocol/admission.ts";

const ITEM_BYTES = 80;
const RETRY_FIRST_MS = 50;
const RETRY_LAST_MS = 1_000;

const dropped = monitorId("kvsvr.pipeline_dropped");

/** As much of the peers as it needs. */
type Wire = Pick<Peers, "self" | "call" | "heardOf">;

interface Waiting {
  readonly item: PipelineItem;
  readonly bytes: number;
}

export class Outbox {
  readonly #peers: Wire;
  readonly #peer: number;
  readonly #group: HeldEpoch;
  #waiting: Waiting[] = [];
  #bytes = 0;
  /** How often it was dropped, and of how many of these times the peer has heard. */
  #gaps = 0;
  #gapsTold = 0;
  #timer: NodeJS.Timeout | undefined;
  #sending = false;
  #stopped = false;

  constructor(peers: Wire, peer: number, group: HeldEpoch) {
    this.#peers = peers;
    this.#peer = peer;
    this.#group = group;
  }

  get backlog(): number {
    return this.#waiting.length;
  }

  /** Part of it was dropped, and the peer does not know yet. */
  get hasGap(): boolean {
    return this.#gaps > this.#gapsTold;
  }

  push(item: PipelineItem, valueBytes: number): void {
    if (this.#stopped) return;
    const bytes = ITEM_BYTES + valueBytes;
    this.#waiting.push({ item, bytes });
    this.#bytes += bytes;
    if (this.#bytes > PIPELINE_BACKLOG_BYTES_MAX) this.#drop();
    this.#schedule(PIPELINE_GATHER_MS);
  }

  #drop(): void {
    monitor.add(dropped, this.#waiting.length);
    this.#waiting = [];
    this.#bytes = 0;
    this.#gaps += 1;
  }

  #schedule(afterMs: number): void {
    if (this.#sending || this.#timer !== undefined || this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#run();
    }, afterMs);
  }

  async #run(): Promise<void> {
    this.#sending = true;
    let pauseMs = RETRY_FIRST_MS;
    while ((this.#waiting.length > 0 || this.hasGap) && !this.#stopped) {
      const startedMs = monotonicMs();
      const delivered = await this.#sendBatch();
      if (delivered) {
        pauseMs = RETRY_FIRST_MS;
        // A peer that catches up gets half of the time, its disk's other half is for who waits.
        if (this.#bytes > PIPELINE_BATCH_BYTES) await rest(monotonicMs() - startedMs);
        continue;
      }
      await rest(pauseMs);
      pauseMs = Math.min(RETRY_LAST_MS, pauseMs * 2);
    }
    this.#sending = false;
  }

  async #sendBatch(): Promise<boolean> {
    let count = 0;
    let bytes = 0;
    while (count < this.#waiting.length && bytes < PIPELINE_BATCH_BYTES)
      bytes += this.#waiting[count++]!.bytes;
    const batch = this.#waiting.slice(0, count);
    const gaps = this.#gaps;
    const gap = this.hasGap;
    const items = batch.map((waiting) => waiting.item);
    try {
      const request = { items, epoch: this.#group.epoch, from: this.#peers.self, gap };
      const reply = await this.#peers.call(this.#peer, Replica.pipeline, request);
      if (reply.barred !== "") return false;
      this.#peers.heardOf(this.#peer, reply.catchingUp);
    } catch {
      return false; // the peer is away: kept, tried again
    }
    // Unless the backlog was dropped meanwhile, the batch is still in front.
    if (this.#waiting[0] === batch[0]) this.#waiting.splice(0, count);
    this.#bytes = this.#waiting.reduce((sum, waiting) => sum + waiting.bytes, 0);
    // What was dropped while this batch was under way is to be told of by another.
    this.#gapsTold = gaps;
    return true;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
