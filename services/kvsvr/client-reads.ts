/** Clients' reads: as new as their level asks, then answered from what this replica holds. */
import {
  type GetReply,
  type GetRequest,
  type GetRowsReply,
  type GetRowsRequest,
  Level,
  type NumbersReply,
  type NumbersRequest,
  type ScanChangesReply,
  type ScanChangesRequest,
  type ScanMarksReply,
  type ScanMarksRequest,
  type ScanRowsReply,
  type ScanRowsRequest,
  type Trim,
  type VersionedRow,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { Call } from "../svrkit/call.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { asPromise, type Done, whenThawed } from "./client-call.ts";
import { wrongModel } from "./outcomes.ts";
import { pageOfChanges, pageOfRows } from "./pages.ts";
import { isPartial, type Register, trimsOf } from "./protocol/register.ts";
import { bytesNumber, innerKey, type TableView } from "./protocol/table.ts";
import { forgottenThrough, ROW_CLASS } from "./protocol/trim.ts";
import type { Reads } from "./reads.ts";
import type { Replica } from "./replica.ts";
import { checkBound, checkLookUps, requireFrame } from "./request-checks.ts";
import type { Entry } from "./storage/entry.ts";
import { lastNumberOf, viewOf } from "./table-view.ts";

const ALL_ROWS: Trim = { throughVersion: 0, rowPrefix: NO_BYTES, appendIds: false };

/** Added to a name it makes the very next one. */
const NEXT = Buffer.of(0);

export class ClientReads {
  readonly #replica: Replica;
  readonly #reads: Reads;

  constructor(replica: Replica, reads: Reads) {
    this.#replica = replica;
    this.#reads = reads;
  }

  get(request: GetRequest, call: Call, done: Done<GetReply>): void {
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
    const heard = (error: RpcError | undefined) =>
      done(entry, error ?? (isPartial(entry.register) ? partly() : undefined));
    if (level === Level.ANY) heard(undefined);
    else if (this.#replica.isFrozen(entry)) {
      const again = () => this.#confirm(request, call, done);
      whenThawed(this.#replica, entry, { deadlineMs, done: heard, again });
    } else if (level === Level.RECENT) this.#reads.recent(entry, call, heard);
    else this.#reads.newest(entry, call, heard);
  }

  async getRows(request: GetRowsRequest, call: Call): Promise<GetRowsReply> {
    checkLookUps(request.rows, "rows");
    checkLookUps(request.marks, "marks");
    const entry = await this.#readTable(request, call);
    const view = viewOf(this.#replica.state, entry);
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
    const view = viewOf(this.#replica.state, entry);
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

  async #readTable(request: GetRequest, call: Call): Promise<Entry> {
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

const NO_STATE = { deleted: true, value: NO_BYTES };

/** What is held of a key; an error when it is a table. */
function getReply(entry: Entry): GetReply | RpcError {
  const { held, heldVersion: version } = entry.register;
  if (held.model === "table") return wrongModel("table");
  const { deleted, value } = held.model === "none" ? NO_STATE : held.decision.key;
  return deleted ? { found: false, value: NO_BYTES, version } : { found: true, value, version };
}
