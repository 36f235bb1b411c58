/** Clients' calls to store operations and back: checks what comes from outside, then hands it to its part. */
import {
  type BatchItem,
  type BatchReply,
  type BatchRequest,
  type BatchRestRequest,
  type ChangeReply,
  type ChangeRequest,
  type GetReply,
  type GetRequest,
  type GetRowsReply,
  type GetRowsRequest,
  Kv,
  Level,
  type NumbersReply,
  type NumbersRequest,
  type ScanChangesReply,
  type ScanChangesRequest,
  type ScanMarksReply,
  type ScanMarksRequest,
  type ScanRowsReply,
  type ScanRowsRequest,
  type TableChange,
  type Trim,
  type VersionedRow,
  type WriteReply,
  type WriteRequest,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { Owner } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { NEVER_SHED } from "../svrkit/admission/priority.ts";
import { type Call, monotonicMs, remainingMs } from "../svrkit/call.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { RpcError, requireArgument } from "../svrkit/errors.ts";
import type { Method } from "../svrkit/method.ts";
import { noRoom } from "../svrkit/room.ts";
import type { Server } from "../svrkit/server.ts";
import { type KeptBatches, RunningBatch } from "./batch.ts";
import { refusalOf } from "./forwarded.ts";
import type { InFlight } from "./in-flight.ts";
import { FROZEN_WAIT_MS, TURN_ITEMS_MAX } from "./limits.ts";
import { pageOfChanges, pageOfRows } from "./pages.ts";
import type { Packing, Proposals, Write } from "./proposals.ts";
import { composeKey, composeTable, type Outcome } from "./protocol/compose.ts";
import { planted } from "./protocol/planted.ts";
import { isPartial, type Register, trimsOf } from "./protocol/register.ts";
import {
  bytesNumber,
  CHANGE_RESULT_BYTES_MAX,
  innerKey,
  type TableView,
} from "./protocol/table.ts";
import { forgottenThrough, ROW_CLASS, TRIMS_MAX } from "./protocol/trim.ts";
import type { Reads } from "./reads.ts";
import { IS_FROZEN, type Replica } from "./replica.ts";
import {
  checkBound,
  checkChange,
  checkLookUps,
  checkOperationId,
  requireFrame,
  requireSize,
} from "./request-checks.ts";
import type { Entry } from "./storage/entry.ts";

const ALL_ROWS: Trim = { throughVersion: 0, rowPrefix: NO_BYTES, appendIds: false };

const TOO_OFTEN = "it changes more often than its operations can be remembered";

/** How replicas of any group call: what one of them passed on is not passed on again. */
const CALLER = "kvsvr";

interface Pending<I, O> extends Write {
  readonly request: I;
  readonly operationId: Uint8Array;
  readonly priority: number;
  readonly resolve: (reply: O) => void;
}

/** Added to a name it makes the very next one. */
const NEXT = Buffer.of(0);

/** A call, or one item of a batch. */
type Attempt = Call & { readonly isFirst?: boolean };

/** Hears the outcome of one operation, once. */
type Done<O> = (outcome: O | RpcError) => void;

export class Handlers {
  readonly #replica: Replica;
  readonly #proposals: Proposals;
  readonly #reads: Reads;
  readonly #batches: KeptBatches;
  readonly #server: Pick<Server, "admits" | "ended" | "worked">;
  readonly #inFlight: InFlight;

  constructor(
    replica: Replica,
    parts: {
      proposals: Proposals;
      reads: Reads;
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
        this.#view(entry),
        writes.map(({ operationId, request, isFirst }) => ({
          operationId,
          change: request,
          isRetry: !isFirst,
        })),
      ),
    answer: (write, outcome) => answer(write, outcome as Outcome<ChangeReply>),
  };

  #view(entry: Entry): TableView {
    const { register } = entry;
    return {
      version: register.heldVersion,
      isAbsent: register.held.model === "none",
      lastNumber: lastNumberOf(register),
      trims: trimsOf(register),
      row: (inner) => this.#replica.state.row(entry, inner),
    };
  }

  get(request: GetRequest, call: Call): Promise<GetReply> {
    return asPromise((done) => this.#get(request, call, done));
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
        this.#get(item.value, own, (reply) =>
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

  #get(request: GetRequest, call: Call, done: Done<GetReply>): void {
    this.#confirm(request, call, (entry, error) => done(error ?? getReply(entry)));
  }

  /** What is held of the key is as new as its reader asks, or there is an error. */
  #confirm(
    request: GetRequest,
    call: Call,
    done: (entry: Entry, error: RpcError | undefined) => void,
  ): void {
    const { key, level } = request;
    const { deadlineMs } = call;
    this.#replica.requireServing(level === Level.ANY);
    const entry = this.#replica.servedEntry(key);
    const heard = (error: RpcError | undefined) => done(entry, error);
    if (level === Level.ANY) heard(isPartial(entry.register) ? partly() : undefined);
    else if (this.#replica.isFrozen(entry)) {
      const again = () => this.#confirm(request, call, done);
      this.#whenThawed(entry, { deadlineMs, done: heard, again });
    } else if (level === Level.RECENT) this.#reads.recent(entry, call, heard);
    else this.#reads.newest(entry, call, heard);
  }

  #write(request: WriteRequest, call: Attempt, done: Done<WriteReply>): void {
    this.#replica.requireServing();
    const bytes = request.write?.case === "put" ? request.write.value.length : 0;
    requireArgument(request.write !== undefined, "a write that neither puts nor deletes");
    requireSize(bytes, "a value");
    const entry = this.#replica.servedEntry(request.key);
    if (this.#replica.isFrozen(entry)) {
      const { deadlineMs } = call;
      this.#whenThawed(entry, { deadlineMs, done, again: () => this.#write(request, call, done) });
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
      this.#whenThawed(entry, { deadlineMs, done, again: () => this.#change(request, call, done) });
      return;
    }
    const forward = (owner: Owner) => this.#forward(owner, Kv.change, request, call);
    this.#submit(entry, this.#tablePacking, { request: change, call, bytes, forward, done });
  }

  /**
   * Goes on when the key is not frozen any more (S5). It would be a read that is late otherwise: another
   * replica may have heard before this one how forgetting ended.
   */
  #whenThawed(
    entry: Entry,
    { deadlineMs, done, again }: { deadlineMs: number; done: Done<never>; again: () => void },
  ): void {
    const { slots } = this.#replica;
    const waitMs = Math.min(FROZEN_WAIT_MS, deadlineMs - monotonicMs());
    const goOn = () => {
      if (this.#replica.isFrozen(entry)) throw new RpcError("UNAVAILABLE", IS_FROZEN);
      again();
    };
    slots
      .thawed(Math.max(0, waitMs))
      .then(goOn)
      .catch((error: unknown) => done(RpcError.from(error)));
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

  async getRows(request: GetRowsRequest, call: Call): Promise<GetRowsReply> {
    checkLookUps(request.rows, "rows");
    checkLookUps(request.marks, "marks");
    const entry = await this.#readTable(request, call);
    const view = this.#view(entry);
    const rows: VersionedRow[] = [];
    let bytes = 0;
    for (const row of request.rows) {
      const stored = view.row(innerKey(ROW_CLASS.row, row));
      if (stored === undefined) continue;
      const { value, version } = stored;
      bytes += row.length + value.length;
      requireFrame(bytes);
      rows.push({ row, value, version, deleted: false });
    }
    const marks = request.marks.map((name) => numberIn(view, ROW_CLASS.mark, name));
    const { lastNumber, trims } = view;
    return { version: versionOf(entry.register), rows, marks, lastNumber, trims: [...trims] };
  }

  async numbers(request: NumbersRequest, call: Call): Promise<NumbersReply> {
    const { ids } = request;
    checkLookUps(ids, "ids");
    const entry = await this.#readTable(request, call);
    const view = this.#view(entry);
    const numbers = ids.map((id) => numberIn(view, ROW_CLASS.appended, id));
    return { version: versionOf(entry.register), numbers };
  }

  async scanRows(request: ScanRowsRequest, call: Call): Promise<ScanRowsReply> {
    checkBound(request.first);
    checkBound(request.end);
    const entry = await this.#readTable(request, call);
    const first = innerKey(ROW_CLASS.row, request.first);
    const end =
      request.end.length > 0
        ? innerKey(ROW_CLASS.row, request.end)
        : Buffer.from([ROW_CLASS.row + 1]);
    const scan = { range: { first, end, reverse: request.reverse }, limit: request.limit };
    const { rows, more, register } = await pageOfRows(this.#replica.state, entry, scan);
    const version = versionOf(register);
    return {
      version,
      rows,
      more,
      lastNumber: lastNumberOf(register),
      trims: [...trimsOf(register)],
    };
  }

  async scanMarks(request: ScanMarksRequest, call: Call): Promise<ScanMarksReply> {
    const { after, limit } = request;
    checkBound(after);
    const entry = await this.#readTable(request, call);
    const name = after.length > 0 ? Buffer.concat([after, NEXT]) : after;
    const first = innerKey(ROW_CLASS.mark, name);
    const range = { first, end: Buffer.from([ROW_CLASS.mark + 1]), reverse: false };
    const { rows, more, register } = await pageOfRows(this.#replica.state, entry, { range, limit });
    const marks = rows.map(({ row, value }) => ({ name: row, standsAt: bytesNumber(value) }));
    return { version: versionOf(register), marks, more };
  }

  async scanChanges(request: ScanChangesRequest, call: Call): Promise<ScanChangesReply> {
    const entry = await this.#readTable(request, call);
    const forgotten = forgottenThrough(trimsOf(entry.register), ALL_ROWS);
    const scan = { after: Math.max(request.afterVersion, forgotten), limit: request.limit };
    const { rows, more, register } = await pageOfChanges(this.#replica.state, entry, scan);
    const version = versionOf(register);
    const throughVersion = more ? rows.at(-1)!.version : version;
    return { version, rows, more, throughVersion, trims: [...trimsOf(register)] };
  }

  async #readTable(request: Parameters<Handlers["get"]>[0], call: Call): Promise<Entry> {
    const entry = await asPromise<Entry>((done) =>
      this.#confirm(request, call, (entry, error) => done(error ?? entry)),
    );
    if (entry.register.held.model === "key") throw wrongModel("key");
    return entry;
  }
}

function partly(): RpcError {
  return new RpcError("UNAVAILABLE", "a part of the table is here, the rest is on its way: retry");
}

/** Of a table, to its users: one that is absent is at version 0, whatever floor it begins above. */
function versionOf({ held, heldVersion }: Register): number {
  return held.model === "none" ? 0 : heldVersion;
}

/** What a mark or an appended id stands at; 0 when it is not there. */
function numberIn(view: TableView, rowClass: number, name: Uint8Array): number {
  const stored = view.row(innerKey(rowClass, name));
  return stored === undefined ? 0 : bytesNumber(stored.value);
}

function lastNumberOf({ held }: Register): number {
  return held.model === "table" ? held.lastNumber : 0;
}

function answer<I, O>(write: Pending<I, O>, outcome: Outcome<O>): void {
  switch (outcome.outcome) {
    case "reply":
      write.resolve(outcome.reply);
      return;
    case "unknown":
      write.reject(
        new RpcError(
          "OUTCOME_UNKNOWN",
          "this operation is too old to say whether it ran: read, then decide",
        ),
      );
      return;
    case "wrongModel":
      write.reject(wrongModel(outcome.model));
      return;
    case "tooOften":
      write.reject(refusalOf(write, noRoom(TOO_OFTEN, write.priority)));
      return;
    case "resultTooLarge":
      write.reject(refusalOf(write, resultTooLarge()));
      return;
    case "tooManyTrims":
      write.reject(refusalOf(write, tooManyTrims()));
  }
}

function resultTooLarge(): RpcError {
  return new RpcError(
    "TOO_LARGE",
    `rows that are there already have more than ${CHANGE_RESULT_BYTES_MAX} bytes: insert fewer at once`,
  );
}

function tooManyTrims(): RpcError {
  return new RpcError(
    "FAILED_PRECONDITION",
    `a table remembers trims of ${TRIMS_MAX} kinds of rows: trim by a shorter prefix`,
  );
}

function wrongModel(model: string): RpcError {
  const held = model === "table" ? "a table, not a value" : "a value, not a table";
  return new RpcError("FAILED_PRECONDITION", `this key holds ${held}`);
}

/** An operation told by callback as a promise; what it throws at once rejects too. */
function asPromise<O>(run: (done: (outcome: O | RpcError) => void) => void): Promise<O> {
  return new Promise((resolve, reject) => {
    run((outcome) => {
      if (outcome instanceof RpcError) reject(outcome);
      else resolve(outcome);
    });
  });
}

const NO_STATE = { deleted: true, value: NO_BYTES };

/** What is held of a key; an error when it is a table. */
function getReply(entry: Entry): GetReply | RpcError {
  const { held, heldVersion: version } = entry.register;
  if (held.model === "table") return wrongModel("table");
  const { deleted, value } = held.model === "none" ? NO_STATE : held.decision.key;
  return deleted ? { found: false, value: NO_BYTES, version } : { found: true, value, version };
}
