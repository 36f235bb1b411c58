/**
 * The client of one KV group. A key goes to its preferred replica, chosen by a stable hash over the replicas
 * that answer, so that all callers meet at the same one and proposers do not duel (S7); when that one
 * fails, the next in the key's own order takes over inside the same call, under the same operation id.
 */
import type {
  BatchItem,
  BatchOutcome,
  ChangeReply,
  ChangeRequest,
  GetReply,
  GetRequest,
  GetRowsReply,
  GetRowsRequest,
  Key,
  NumbersReply,
  NumbersRequest,
  RowOperation,
  ScanChangesReply,
  ScanChangesRequest,
  ScanMarksReply,
  ScanMarksRequest,
  ScanRowsReply,
  ScanRowsRequest,
  WriteReply,
  WriteRequest,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Kv } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { type CallOptions, monotonicMs } from "../svrkit/call.ts";
import type { Callee } from "../svrkit/client.ts";
import { RpcError } from "../svrkit/errors.ts";
import type { Method } from "../svrkit/method.ts";
import { murmur3 } from "../svrkit/murmur3.ts";
import { uncertain } from "../svrkit/pending-call.ts";
import { isSampled } from "../svrkit/tracing/context.ts";
import { type Asker, TurnBatch } from "./turn-batch.ts";

/** The six orders in which three replicas can be tried. */
const ORDERS = [
  [0, 1, 2],
  [1, 2, 0],
  [2, 0, 1],
  [0, 2, 1],
  [1, 0, 2],
  [2, 1, 0],
] as const;

/**
 * A replica that refuses (it catches up, or reaches nobody) is asked last for so long: each refusal costs
 * two calls, and while it catches up it would refuse a third of everything.
 */
const REFUSED_REST_MS = 250;

/** A call whose deadline and operation id stay the same however often it is tried. */
export interface GroupCall extends CallOptions {
  readonly deadlineMs: number;
  readonly operationId: Uint8Array;
  /** How often it was asked before: not gathered with first attempts, and another replica's turn. */
  readonly attempt?: number;
}

export class GroupClient {
  readonly #callee: Callee;
  readonly #batches: readonly TurnBatch<Gathered, BatchOutcome>[];
  /** By replica: until when it is asked last. */
  readonly #restsUntilMs: number[];

  /** `callee`: the group's three replicas in the order of their numbers. */
  constructor(callee: Callee) {
    this.#callee = callee;
    this.#batches = callee.peers.map(
      (_, replica) =>
        new TurnBatch(replica, (operations, tell) => this.#send(replica, operations, tell)),
    );
    this.#restsUntilMs = callee.peers.map(() => 0);
  }

  get(request: GetRequest, call: GroupCall): Promise<GetReply> {
    return this.#gather(Kv.get, { case: "get", value: request }, call);
  }

  write(request: WriteRequest, call: GroupCall): Promise<WriteReply> {
    return this.#gather(Kv.write, { case: "write", value: request }, call);
  }

  change(request: ChangeRequest, call: GroupCall): Promise<ChangeReply> {
    return this.#gather(Kv.change, { case: "change", value: request }, call);
  }

  getRows(request: GetRowsRequest, call: GroupCall): Promise<GetRowsReply> {
    return this.#call(Kv.getRows, request, call);
  }

  scanRows(request: ScanRowsRequest, call: GroupCall): Promise<ScanRowsReply> {
    return this.#call(Kv.scanRows, request, call);
  }

  numbers(request: NumbersRequest, call: GroupCall): Promise<NumbersReply> {
    return this.#call(Kv.numbers, request, call);
  }

  scanMarks(request: ScanMarksRequest, call: GroupCall): Promise<ScanMarksReply> {
    return this.#call(Kv.scanMarks, request, call);
  }

  scanChanges(request: ScanChangesRequest, call: GroupCall): Promise<ScanChangesReply> {
    return this.#call(Kv.scanChanges, request, call);
  }

  /** Sends an operation with everything else that goes to its replica in this turn. */
  #gather<I extends { key: Key | undefined }, O>(
    method: Method<I, O>,
    item: Item & { value: I },
    call: GroupCall,
  ): Promise<O> {
    // A call that is traced goes alone: a batch is of many traces.
    if (call.attempt !== undefined || (call.trace !== undefined && isSampled(call.trace)))
      return this.#call(method, item.value as I, call);
    const key = keyOf(item.value);
    const order = this.#order(key);
    const replica = this.#preferred(order);
    if (this.#callee.refuses(replica, call.priority ?? 0, monotonicMs()))
      return Promise.reject(overloaded());
    return new Promise<O>((resolve, reject) => {
      const alone = (refusing: number | undefined, heard: RpcError | undefined) => {
        if (refusing !== undefined) this.#restsUntilMs[refusing] = monotonicMs() + REFUSED_REST_MS;
        const again = { ...call, order: this.#order(key), heard };
        return this.#callee.call(method, item.value as I, again);
      };
      const done = resolve as (reply: unknown) => void;
      const operation = new Gathered({ item, call, alone, resolve: done, reject });
      this.#batches[replica]!.add(operation, operation.bytes, operation);
    });
  }

  /** The first that takes calls; when none does, one that is not blocked (S10). */
  #preferred(order: readonly number[]): number {
    const callee = this.#callee;
    return (
      order.find((index) => callee.takesCalls(index)) ??
      order.find((index) => !callee.isBlocked(index)) ??
      order[0]!
    );
  }

  /** One call for what was gathered, and more for what is slower than the others. */
  async #send(
    replica: number,
    operations: readonly Gathered[],
    tell: (index: number, outcome: BatchOutcome) => void,
  ): Promise<void> {
    const items = operations.map((operation) => operation.request);
    const request = { items, asksForRest: true };
    let open = items.map((_, index) => index);
    // Each part for as long as the most hurried of it may take.
    const until = () => ({ deadlineMs: Math.min(...open.map((i) => operations[i]!.deadlineMs)) });
    let reply = await this.#callee.callOne(replica, Kv.batch, request, until());
    for (;;) {
      const { outcomes, rest } = reply;
      const isOpen = (n: number) => rest !== 0 && outcomes[n]?.outcome?.case === "underWay";
      for (let n = 0; n < outcomes.length; n++) if (!isOpen(n)) tell(open[n]!, outcomes[n]!);
      open = open.filter((_, n) => isOpen(n));
      if (open.length === 0) return;
      reply = await this.#callee.callOne(replica, Kv.batchRest, { rest }, until());
    }
  }

  #call<I extends { key: Key | undefined }, O>(
    method: Method<I, O>,
    request: I,
    call: GroupCall,
  ): Promise<O> {
    const order = this.#order(keyOf(request), call.attempt);
    return this.#callee.call(method, request, { ...call, order });
  }

  #order(key: Key, turn = 0): readonly number[] {
    const order = ORDERS[(murmur3(key.key, key.keyspace) + turn) % ORDERS.length]!;
    const nowMs = monotonicMs();
    const rests = (replica: number) => this.#restsUntilMs[replica]! > nowMs;
    if (!order.some(rests)) return order;
    return [...order.filter((replica) => !rests(replica)), ...order.filter(rests)];
  }
}

export function keyOf(request: { key: Key | undefined }): Key {
  if (request.key === undefined) throw new RpcError("INVALID_ARGUMENT", "the request names no key");
  return request.key;
}

type Item = NonNullable<BatchItem["item"]>;

interface Parts {
  readonly item: Item;
  readonly call: GroupCall;
  /**
   * Sends the operation by itself, with failover; `refusing`: the replica that would not take it;
   * `heard`: what came of it in the batch.
   */
  readonly alone: (refusing: number | undefined, heard: RpcError | undefined) => Promise<unknown>;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** About what an operation takes in a batch beside its value. */
const ITEM_BYTES = 64;

/** One operation of a batch. What the batch cannot say about it is asked again alone. */
class Gathered implements Asker<BatchOutcome> {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get request(): BatchItem {
    const { item, call } = this.#parts;
    return { operationId: call.operationId, item, priority: call.priority ?? 0 };
  }

  get bytes(): number {
    const { item } = this.#parts;
    if (item.case === "write" && item.value.write?.case === "put")
      return ITEM_BYTES + item.value.write.value.length;
    if (item.case !== "change") return ITEM_BYTES;
    const operations = item.value.change?.operations ?? [];
    return operations.reduce((sum, operation) => sum + sizeOf(operation), ITEM_BYTES);
  }

  get deadlineMs(): number {
    return this.#parts.call.deadlineMs;
  }

  answered(replica: number, { outcome }: BatchOutcome): void {
    if (outcome === undefined)
      this.#parts.reject(new RpcError("INTERNAL", "the store left an operation unanswered"));
    else if (outcome.case === "underWay") this.#alone(undefined, undefined);
    else if (outcome.case === "failure")
      this.failed(replica, RpcError.fromWire(outcome.value.code, outcome.value.message));
    else this.#parts.resolve(outcome.value);
  }

  failed(replica: number, thrown: unknown): void {
    const error = RpcError.from(thrown);
    const { deadlineMs } = this.#parts.call;
    const isOthersDeadline = error.code === "DEADLINE_EXCEEDED" && monotonicMs() < deadlineMs;
    if (error.code === "OVERLOADED") this.#parts.reject(error);
    else if (error.code === "UNAVAILABLE") this.#alone(replica, error);
    else if (error.retryable) this.#alone(undefined, error);
    else if (isOthersDeadline) this.#alone(undefined, undefined);
    else this.#parts.reject(error);
  }

  #alone(refusing: number | undefined, heard: RpcError | undefined): void {
    // What the batch began may still be done.
    const fail = (error: unknown) =>
      this.#parts.reject(isOverloaded(error) ? uncertain(error) : error);
    this.#parts.alone(refusing, heard).then(this.#parts.resolve, fail);
  }
}

function isOverloaded(error: unknown): error is RpcError {
  return error instanceof RpcError && error.code === "OVERLOADED";
}

function overloaded(): RpcError {
  return new RpcError("OVERLOADED", "the store has too much to do: retry later");
}

function sizeOf({ operation }: RowOperation): number {
  if (operation?.case === "upsert" || operation?.case === "insertIfAbsent")
    return operation.value.row.length + operation.value.value.length;
  return operation?.case === "append" ? operation.value.value.length : 0;
}
