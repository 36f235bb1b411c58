/** Clients' writes, and batches of reads and writes: checks what comes from outside, then hands it to its part. */
import {
  type BatchItem,
  type BatchReply,
  type BatchRequest,
  type BatchRestRequest,
  type ChangeReply,
  type ChangeRequest,
  type GetReply,
  type GetRequest,
  Kv,
  type TableChange,
  type WriteReply,
  type WriteRequest,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { Owner } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { NEVER_SHED } from "../svrkit/admission/priority.ts";
import { type Call, monotonicMs, remainingMs } from "../svrkit/call.ts";
import { RpcError, requireArgument } from "../svrkit/errors.ts";
import type { Method } from "../svrkit/method.ts";
import type { Server } from "../svrkit/server.ts";
import { type KeptBatches, RunningBatch } from "./batch.ts";
import { asPromise, type Done, whenThawed } from "./client-call.ts";
import type { ClientReads } from "./client-reads.ts";
import type { InFlight } from "./in-flight.ts";
import { TURN_ITEMS_MAX } from "./limits.ts";
import { answer, type Pending } from "./outcomes.ts";
import { NOT_FORWARDED, type Packing, type Proposals } from "./proposals.ts";
import { composeKey, composeTable, type Outcome } from "./protocol/compose.ts";
import { planted } from "./protocol/planted.ts";
import type { Replica } from "./replica.ts";
import { checkChange, checkOperationId, requireSize } from "./request-checks.ts";
import type { Entry } from "./storage/entry.ts";
import { viewOf } from "./table-view.ts";

/** How replicas of any group call: what one of them passed on is not passed on again. */
const CALLER = "kvsvr";

/** A call, or one item of a batch. */
type Attempt = Call & { readonly isFirst?: boolean };

export class Handlers {
  readonly #replica: Replica;
  readonly #proposals: Proposals;
  readonly #reads: ClientReads;
  readonly #batches: KeptBatches;
  readonly #server: Pick<Server, "admits" | "ended" | "worked">;
  readonly #inFlight: InFlight;

  constructor(
    replica: Replica,
    parts: {
      proposals: Proposals;
      reads: ClientReads;
      server: Pick<Server, "admits" | "ended" | "worked">;
      inFlight: InFlight;
      batches: KeptBatches;
    },
  ) {
    this.#replica = replica;
    this.#proposals = parts.proposals;
    this.#reads = parts.reads;
    this.#server = parts.server;
    this.#inFlight = parts.inFlight;
    this.#batches = parts.batches;
  }

  readonly #keyPacking: Packing<Pending<WriteRequest, WriteReply>> = {
    most: 1,
    compose: (entry, writes) => {
      const floor = this.#replica.slots.floorOf(entry.registerKey);
      const forgottenMs = planted("forgotten-ids") ? 0 : floor.forgottenMs;
      return composeKey(entry.register, { ...writes[0]!, forgottenMs });
    },
    answer: (write, outcome) => answer(write, outcome as Outcome<WriteReply>),
  };

  readonly #tablePacking: Packing<Pending<TableChange, ChangeReply>> = {
    most: Number.POSITIVE_INFINITY,
    compose: (entry, writes) =>
      composeTable(
        entry.register,
        viewOf(this.#replica.state, entry),
        writes.map(({ operationId, request, isFirst }) => ({
          operationId,
          change: request,
          isRetry: !isFirst,
        })),
      ),
    answer: (write, outcome) => answer(write, outcome as Outcome<ChangeReply>),
  };

  get(request: GetRequest, call: Call): Promise<GetReply> {
    return asPromise((done) => this.#reads.get(request, call, done));
  }

  write(request: WriteRequest, call: Call): Promise<WriteReply> {
    return asPromise((done) => this.#write(request, call, done));
  }

  change(request: ChangeRequest, call: Call): Promise<ChangeReply> {
    return asPromise((done) => this.#change(request, call, done));
  }

  /** Carries out items side by side; what is much slower than the others is answered as under way. */
  batch(request: BatchRequest, call: Call): Promise<BatchReply> {
    const { items, asksForRest } = request;
    requireArgument(items.length <= TURN_ITEMS_MAX, `at most ${TURN_ITEMS_MAX} items in a batch`);
    const batch = new RunningBatch(items.length);
    const startedMs = monotonicMs();
    let sheddable = 0;
    for (const [index, item] of items.entries()) {
      if (item.priority !== NEVER_SHED) sheddable += 1;
      try {
        this.#item(item, call, batch, index);
      } catch (error) {
        batch.settle(index, RpcError.from(error));
      }
    }
    if (sheddable > 0)
      this.#server.worked(((monotonicMs() - startedMs) * sheddable) / items.length);
    return this.#answer(batch, asksForRest);
  }

  batchRest({ rest }: BatchRestRequest): Promise<BatchReply> {
    const batch = this.#batches.take(rest);
    if (batch === undefined)
      throw new RpcError("UNAVAILABLE", `no rest of a batch ${rest} here: ask for its items alone`);
    return this.#answer(batch, true);
  }

  #answer(batch: RunningBatch, keepsRest: boolean): Promise<BatchReply> {
    return new Promise((resolve) =>
      batch.next((outcomes) => {
        const rest = keepsRest && !batch.isOver ? this.#batches.keep(batch) : 0;
        resolve({ outcomes, rest });
      }),
    );
  }

  #item(
    { operationId, item, priority }: BatchItem,
    call: Call,
    batch: RunningBatch,
    index: number,
  ): void {
    const nowMs = monotonicMs();
    if (!this.#server.admits(priority, call, nowMs))
      throw new RpcError("OVERLOADED", "this replica has too much to do: retry later");
    // Most of what it works for an item comes before the first wait.
    this.#server.ended(priority, nowMs);
    // Clients batch first attempts only (client.ts).
    const own = { ...call, operationId, priority, isFirst: true };
    switch (item?.case) {
      case "get":
        this.#reads.get(item.value, own, (reply) =>
          batch.settle(index, reply instanceof RpcError ? reply : { case: "get", value: reply }),
        );
        return;
      case "write":
        this.#write(item.value, own, (reply) =>
          batch.settle(index, reply instanceof RpcError ? reply : { case: "write", value: reply }),
        );
        return;
      case "change":
        this.#change(item.value, own, (reply) =>
          batch.settle(index, reply instanceof RpcError ? reply : { case: "change", value: reply }),
        );
        return;
      default:
        throw new RpcError("INVALID_ARGUMENT", "an item of a batch that asks for nothing");
    }
  }

  #write(request: WriteRequest, call: Attempt, done: Done<WriteReply>): void {
    this.#replica.requireServing();
    const bytes = request.write?.case === "put" ? request.write.value.length : 0;
    requireArgument(request.write !== undefined, "a write that neither puts nor deletes");
    requireSize(bytes, "a value");
    const entry = this.#replica.servedEntry(request.key);
    if (this.#replica.isFrozen(entry)) {
      const { deadlineMs } = call;
      whenThawed(this.#replica, entry, {
        deadlineMs,
        done,
        again: () => this.#write(request, call, done),
      });
      return;
    }
    const forward = (owner: Owner) => this.#forward(owner, Kv.write, request, call);
    this.#submit(entry, this.#keyPacking, { request, call, bytes, forward, done });
  }

  #change(request: ChangeRequest, call: Attempt, done: Done<ChangeReply>): void {
    this.#replica.requireServing();
    const { change } = request;
    requireArgument(change !== undefined, "a change that changes nothing");
    const bytes = checkChange(change);
    const entry = this.#replica.servedEntry(request.key);
    if (this.#replica.isFrozen(entry)) {
      const { deadlineMs } = call;
      whenThawed(this.#replica, entry, {
        deadlineMs,
        done,
        again: () => this.#change(request, call, done),
      });
      return;
    }
    const forward = (owner: Owner) => this.#forward(owner, Kv.change, request, call);
    this.#submit(entry, this.#tablePacking, { request: change, call, bytes, forward, done });
  }

  #submit<I, O>(
    entry: Entry,
    packing: Packing<Pending<I, O>>,
    write: {
      request: I;
      call: Attempt;
      bytes: number;
      forward: (owner: Owner) => Promise<O>;
      done: Done<O>;
    },
  ): void {
    const { request, call, bytes } = write;
    const { deadlineMs, operationId, priority, trace, isFirst = false } = call;
    checkOperationId(operationId);
    const done = this.#inFlight.until(write.done, { valueBytes: bytes, priority });
    const forward = call.caller.startsWith(CALLER)
      ? undefined
      : (owner: Owner) => write.forward(owner).then(done);
    this.#proposals.submit(entry, packing, {
      request,
      operationId,
      priority,
      isFirst,
      mayBeDone: false,
      forwarded: NOT_FORWARDED,
      trace,
      deadlineMs,
      bytes,
      forward,
      resolve: done,
      reject: done,
    });
  }

  #forward<I, O>(owner: Owner, method: Method<I, O>, request: I, call: Call): Promise<O> {
    const { operationId, trace } = call;
    const timeoutMs = Math.max(1, remainingMs(call));
    const options = { operationId, trace, timeoutMs };
    return this.#replica.peers.pass(owner.replica, method, request, options);
  }
}
