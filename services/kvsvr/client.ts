/**
 * The store's client. A key goes to its preferred replica, chosen by a stable hash over the replicas
 * that answer, so that all callers meet at the same one and proposers do not duel (S7); when that one
 * fails, the next in the key's own order takes over inside the same call, under the same operation id.
 */
import type {
  ChangeOutcome,
  ChangeReply,
  ChangeRequest,
  GetReply,
  GetRequest,
  GetRowsReply,
  GetRowsRequest,
  Key,
  ScanChangesReply,
  ScanChangesRequest,
  ScanRowsReply,
  ScanRowsRequest,
  WriteReply,
  WriteRequest,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Kv } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { type CallOptions, DEFAULT_TIMEOUT_MS, monotonicMs } from "../svrkit/call.ts";
import type { Callee } from "../svrkit/client.ts";
import { RpcError } from "../svrkit/errors.ts";
import type { Method } from "../svrkit/method.ts";
import { murmur3 } from "../svrkit/murmur3.ts";
import { newOperationId } from "../svrkit/operation-id.ts";

/** The six orders in which three replicas can be tried. */
const ORDERS = [
  [0, 1, 2],
  [1, 2, 0],
  [2, 0, 1],
  [0, 2, 1],
  [1, 0, 2],
  [2, 1, 0],
] as const;

/** A write is tried no longer than this; operation ids are remembered for twice as long (S4). */
const WRITE_DEADLINE_MS_MAX = 10_000;

export class KvClient {
  readonly #callee: Callee;

  /** `callee`: the group's three replicas in the order of their numbers. */
  constructor(callee: Callee) {
    this.#callee = callee;
  }

  get(request: GetRequest, options: CallOptions = {}): Promise<GetReply> {
    return this.#call(Kv.get, request, options);
  }

  write(request: WriteRequest, options: CallOptions = {}): Promise<WriteReply> {
    return this.#call(Kv.write, request, identified(options));
  }

  change(request: ChangeRequest, options: CallOptions = {}): Promise<ChangeReply> {
    return this.#call(Kv.change, request, identified(options));
  }

  getRows(request: GetRowsRequest, options: CallOptions = {}): Promise<GetRowsReply> {
    return this.#call(Kv.getRows, request, options);
  }

  scanRows(request: ScanRowsRequest, options: CallOptions = {}): Promise<ScanRowsReply> {
    return this.#call(Kv.scanRows, request, options);
  }

  scanChanges(request: ScanChangesRequest, options: CallOptions = {}): Promise<ScanChangesReply> {
    return this.#call(Kv.scanChanges, request, options);
  }

  /**
   * Changes many tables, each on its own: one call a preferred replica. The outcomes come in the
   * order of the requests; a change without an outcome of its own failed with the error given.
   * Changes of a batch carry no operation ids: each must be safe to repeat by its own guards or
   * insert-if-absent.
   */
  async changeBatch(
    requests: readonly ChangeRequest[],
    options: CallOptions = {},
  ): Promise<(ChangeReply | RpcError)[]> {
    const parts = new Map<string, number[]>();
    requests.forEach((request, index) => {
      const name = this.#order(keyOf(request)).join("");
      const part = parts.get(name);
      if (part === undefined) parts.set(name, [index]);
      else part.push(index);
    });
    const outcomes: (ChangeReply | RpcError)[] = new Array(requests.length);
    const calls = [...parts].map(async ([name, indexes]) => {
      const order = [...name].map(Number);
      const changes = indexes.map((i) => requests[i]!);
      const reply = await this.#callee
        .call(Kv.changeBatch, { changes }, { ...options, order })
        .catch((error: unknown) => RpcError.from(error));
      indexes.forEach((index, i) => {
        outcomes[index] = reply instanceof RpcError ? reply : outcomeOf(reply.outcomes[i]);
      });
    });
    await Promise.all(calls);
    return outcomes;
  }

  #call<I extends { key: Key | undefined }, O>(
    method: Method<I, O>,
    request: I,
    options: CallOptions,
  ): Promise<O> {
    return this.#callee.call(method, request, { ...options, order: this.#order(keyOf(request)) });
  }

  #order(key: Key): readonly number[] {
    return ORDERS[murmur3(key.key, key.keyspace) % ORDERS.length]!;
  }
}

function keyOf(request: { key: Key | undefined }): Key {
  if (request.key === undefined) throw new RpcError("INVALID_ARGUMENT", "the request names no key");
  return request.key;
}

/** A write with its operation id, for a time in which the store is sure to remember that id. */
function identified(options: CallOptions): CallOptions {
  const latestMs = monotonicMs() + WRITE_DEADLINE_MS_MAX;
  const wantedMs = options.deadlineMs ?? monotonicMs() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const operationId = options.operationId ?? newOperationId();
  return { ...options, operationId, deadlineMs: Math.min(wantedMs, latestMs) };
}

function outcomeOf(outcome: ChangeOutcome | undefined): ChangeReply | RpcError {
  switch (outcome?.outcome?.case) {
    case "reply":
      return outcome.outcome.value;
    case "failure":
      return RpcError.fromWire(outcome.outcome.value.code, outcome.outcome.value.message);
    default:
      return new RpcError("INTERNAL", "the store left a change of the batch unanswered");
  }
}
