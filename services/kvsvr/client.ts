/**
 * The store's client: finds the KV group that serves a key and asks it (group-client.ts).
 *
 * Which group that is, is a hint that may be old. A group that does not serve a key says so; then the
 * map is read anew and the call goes on elsewhere under its own operation id, until its deadline. With
 * one group, and as long as every slot is that group's, nobody looks at a map.
 */
import type {
  ChangeReply,
  ChangeRequest,
  GetReply,
  GetRequest,
  GetRowsReply,
  GetRowsRequest,
  Key,
  NumbersReply,
  NumbersRequest,
  ScanChangesReply,
  ScanChangesRequest,
  ScanMarksReply,
  ScanMarksRequest,
  ScanRowsReply,
  ScanRowsRequest,
  WriteReply,
  WriteRequest,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { type CallOptions, DEFAULT_TIMEOUT_MS, monotonicMs } from "../svrkit/call.ts";
import type { Callee } from "../svrkit/client.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { FIRST_GROUP, Shards } from "../svrkit/failover/shards.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { newOperationId } from "../svrkit/operation-id.ts";
import { rest } from "../svrkit/rest.ts";
import { type GroupCall, GroupClient, keyOf } from "./group-client.ts";
import { slotOf } from "./storage/record.ts";

export { slotOf };

/**
 * A write is tried no longer than this. Operation ids are remembered for twice as long, of a busy key or
 * table for 2 s (S4); a retry that comes later gets OUTCOME_UNKNOWN.
 */
const WRITE_DEADLINE_MS_MAX = 10_000;
/** Pause before a group is asked again: the slot is between two groups for a moment. */
const MOVED_PAUSE_FIRST_MS = 5;
const MOVED_PAUSE_LAST_MS = 40;

const redirects = monitorId("kv.redirects");

/** The service of a KV group. */
export function groupService(group: number): string {
  return group === FIRST_GROUP ? "kvsvr" : `kvsvr-${group}`;
}

interface Groups {
  readonly shards: Shards;
  /** A group's three replicas, by its service, in the order of their numbers. */
  callee(service: string): Callee;
}

interface Keyed {
  readonly key: Key | undefined;
}

const ONE_GROUP = new Shards();

export class KvClient {
  readonly #shards: Shards;
  readonly #first: GroupClient;
  readonly #groupClient: (group: number) => GroupClient;
  readonly #others = new Map<number, GroupClient>();

  /** `first`: the first group's three replicas, which serve everything; with `groups`, all groups. */
  constructor(first: Callee, groups?: Groups) {
    this.#first = new GroupClient(first);
    this.#shards = groups?.shards ?? ONE_GROUP;
    this.#groupClient = (group) =>
      groups === undefined ? this.#first : new GroupClient(groups.callee(groupService(group)));
  }

  /** The client of a process that follows the map of slots. */
  static of(groups: Groups): KvClient {
    return new KvClient(groups.callee(groupService(FIRST_GROUP)), groups);
  }

  get(request: GetRequest, options: CallOptions = {}): Promise<GetReply> {
    const call = { ...options, operationId: NO_BYTES, deadlineMs: deadlineOf(options) };
    return this.#ask(request, call, (group, again) => group.get(request, again));
  }

  write(request: WriteRequest, options: CallOptions = {}): Promise<WriteReply> {
    return this.#ask(request, identified(options), (group, call) => group.write(request, call));
  }

  /**
   * With an empty operation id the change must be safe to repeat by its own guards or
   * insert-if-absent; else it is given one.
   */
  change(request: ChangeRequest, options: CallOptions = {}): Promise<ChangeReply> {
    return this.#ask(request, identified(options), (group, call) => group.change(request, call));
  }

  getRows(request: GetRowsRequest, options: CallOptions = {}): Promise<GetRowsReply> {
    return this.#ask(request, timed(options), (group, call) => group.getRows(request, call));
  }

  scanRows(request: ScanRowsRequest, options: CallOptions = {}): Promise<ScanRowsReply> {
    return this.#ask(request, timed(options), (group, call) => group.scanRows(request, call));
  }

  numbers(request: NumbersRequest, options: CallOptions = {}): Promise<NumbersReply> {
    return this.#ask(request, timed(options), (group, call) => group.numbers(request, call));
  }

  scanMarks(request: ScanMarksRequest, options: CallOptions = {}): Promise<ScanMarksReply> {
    return this.#ask(request, timed(options), (group, call) => group.scanMarks(request, call));
  }

  scanChanges(request: ScanChangesRequest, options: CallOptions = {}): Promise<ScanChangesReply> {
    return this.#ask(request, timed(options), (group, call) => group.scanChanges(request, call));
  }

  #ask<O>(
    request: Keyed,
    call: GroupCall,
    run: (group: GroupClient, call: GroupCall) => Promise<O>,
  ): Promise<O> {
    const key = keyOf(request);
    const asked = run(this.#groupOf(key), call);
    if (this.#shards === ONE_GROUP) return asked;
    return asked.catch((error: unknown) => this.#redirected(error, key, call, run));
  }

  #groupOf(key: Key): GroupClient {
    if (this.#shards.isWhole) return this.#first;
    const group = this.#shards.groupOf(key.keyspace, slotOf(key.key));
    if (group === FIRST_GROUP) return this.#first;
    let client = this.#others.get(group);
    if (client === undefined) {
      client = this.#groupClient(group);
      this.#others.set(group, client);
    }
    return client;
  }

  async #redirected<O>(
    first: unknown,
    key: Key,
    call: GroupCall,
    run: (group: GroupClient, call: GroupCall) => Promise<O>,
  ): Promise<O> {
    let error = first;
    for (let attempt = 0; error instanceof RpcError && error.code === "MOVED"; attempt++) {
      monitor.add(redirects, 1);
      const before = this.#groupOf(key);
      await this.#shards.refresh();
      const pauseMs =
        this.#groupOf(key) === before
          ? Math.min(MOVED_PAUSE_LAST_MS, MOVED_PAUSE_FIRST_MS * 2 ** attempt)
          : 0;
      const jitteredMs = pauseMs * (0.5 + Math.random());
      if (monotonicMs() + jitteredMs >= call.deadlineMs)
        throw new RpcError("UNAVAILABLE", `its slot moved all the time (${error.message}); retry`);
      if (jitteredMs > 0) await rest(jitteredMs);
      try {
        return await run(this.#groupOf(key), { ...call, attempt: attempt + 1 });
      } catch (next) {
        error = next;
      }
    }
    throw error;
  }
}

function deadlineOf({ deadlineMs, timeoutMs }: CallOptions): number {
  return deadlineMs ?? monotonicMs() + (timeoutMs ?? DEFAULT_TIMEOUT_MS);
}

function timed(options: CallOptions): GroupCall {
  return {
    ...options,
    operationId: options.operationId ?? NO_BYTES,
    deadlineMs: deadlineOf(options),
  };
}

/** A write with its operation id, for a time in which the store is sure to remember that id. */
function identified(options: CallOptions): GroupCall {
  const latestMs = monotonicMs() + WRITE_DEADLINE_MS_MAX;
  const operationId = options.operationId ?? newOperationId();
  return { ...options, operationId, deadlineMs: Math.min(deadlineOf(options), latestMs) };
}
