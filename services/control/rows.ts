/**
 * The control table as rows of the store: one row with everything that is blocked, one with the map of
 * slots and the move under way, marks that count the changes, and one row a change, the audit log.
 *
 * The mark is the compare-and-set: every change raises it from where its writer has read it, so
 * whoever decided on an older state is refused, and the n-th change writes the n-th audit row in the
 * same version. Appending under the store's own numbers would do as well, but leaves an id row
 * for every change, which nothing can delete.
 */
import {
  type AuditEntry,
  type Block,
  decodeAuditEntry,
  decodeBlocks,
  encodeAuditEntry,
  encodeBlocks,
} from "../../protos/gen/tricampus/control/v1/control_codec.ts";
import {
  decodeSlots,
  encodeSlots,
  type Slots,
} from "../../protos/gen/tricampus/control/v1/slots_codec.ts";
import {
  type ChangeRequest,
  type GetRowsReply,
  type GetRowsRequest,
  type Guard,
  type Key,
  Keyspace,
  type Level,
  type RowOperation,
  type ScanRowsRequest,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { fromBytes, toBytes } from "../svrkit/codec.ts";
import { NO_SLOTS } from "./plan/slot-map.ts";

/** Rows of the audit log that are kept; each change deletes the one that is older. */
export const AUDIT_ROWS_MAX = 1_000;

const TABLE: Key = { keyspace: Keyspace.CONTROL, key: Buffer.from("control") };
const BLOCKS_ROW = Buffer.from("blocks");
const SLOTS_ROW = Buffer.from("slots");
const CHANGES_MARK = Buffer.from("changes");
/** Counts the changes of the slots' row; the steps of a move are in no audit log. */
const SLOT_CHANGES_MARK = Buffer.from("slot-changes");
const AUDIT_PREFIX = Buffer.from("audit/");
/** Behind every row that begins with the prefix. */
const AUDIT_END = Buffer.from("audit0");

export function isControlTable({ keyspace, key }: Key): boolean {
  return keyspace === TABLE.keyspace && Buffer.compare(key, TABLE.key) === 0;
}

/** The row of the map, given its key in the store: a class byte, and the row key. */
export function isSlotsRow(row: Uint8Array): boolean {
  return Buffer.compare(row.subarray(1), SLOTS_ROW) === 0;
}

export interface ControlState {
  /** The table's version. */
  readonly version: number;
  /** How often it was changed. */
  readonly changes: number;
  /** Those that are over may still be among them. */
  readonly blocks: readonly Block[];
  /** Of their row; 0: there is none. */
  readonly blocksVersion: number;
  readonly slots: Slots;
  /** How often `slots` was changed. */
  readonly slotChanges: number;
}

export function stateRequest(level: Level): GetRowsRequest {
  const marks = [CHANGES_MARK, SLOT_CHANGES_MARK];
  return { key: TABLE, rows: [BLOCKS_ROW, SLOTS_ROW], marks, level };
}

export function stateOf({ version, rows, marks }: GetRowsReply): ControlState {
  const stored = (name: Buffer) => rows.find(({ row }) => name.equals(row));
  const blocksRow = stored(BLOCKS_ROW);
  const slotsRow = stored(SLOTS_ROW);
  return {
    version,
    changes: marks[0] ?? 0,
    blocks: blocksRow === undefined ? [] : fromBytes(decodeBlocks, blocksRow.value).blocks,
    blocksVersion: blocksRow?.version ?? 0,
    slots: slotsRow === undefined ? NO_SLOTS : fromBytes(decodeSlots, slotsRow.value),
    slotChanges: marks[1] ?? 0,
  };
}

/** Replaces the map and the moves, if nobody did since `before` was read; `noted` in the audit log. */
export function slotsRequest(
  before: ControlState,
  slots: Slots,
  noted: Omit<AuditEntry, "number"> | undefined,
): ChangeRequest {
  const row = upsert(SLOTS_ROW, toBytes(encodeSlots, slots));
  const guards = [nextMark(SLOT_CHANGES_MARK, before.slotChanges)];
  if (noted === undefined) return { key: TABLE, change: { guards, operations: [row] } };
  const operations = [row, ...auditOperations(before, noted)];
  guards.push(nextMark(CHANGES_MARK, before.changes));
  return { key: TABLE, change: { guards, operations } };
}

/** Replaces what is blocked, if nobody did since `before` was read, and notes it in the audit log. */
export function changeRequest(
  before: ControlState,
  blocks: readonly Block[],
  noted: Omit<AuditEntry, "number">,
): ChangeRequest {
  const operations: RowOperation[] = [
    upsert(BLOCKS_ROW, toBytes(encodeBlocks, { blocks: [...blocks] })),
    ...auditOperations(before, noted),
  ];
  const guards = [nextMark(CHANGES_MARK, before.changes)];
  return { key: TABLE, change: { guards, operations } };
}

/** The same of blocks that are put off: no change of what is blocked, so no entry of the audit log. */
export function renewalRequest(before: ControlState, blocks: readonly Block[]): ChangeRequest {
  const operations = [upsert(BLOCKS_ROW, toBytes(encodeBlocks, { blocks: [...blocks] }))];
  const value = { row: BLOCKS_ROW, version: before.blocksVersion };
  return { key: TABLE, change: { guards: [{ guard: { case: "row", value } }], operations } };
}

/** Only an entry of the audit log: what it tells of lies elsewhere. */
export function noteRequest(
  before: ControlState,
  noted: Omit<AuditEntry, "number">,
): ChangeRequest {
  const guards = [nextMark(CHANGES_MARK, before.changes)];
  return { key: TABLE, change: { guards, operations: auditOperations(before, noted) } };
}

function auditOperations(
  { changes }: ControlState,
  noted: Omit<AuditEntry, "number">,
): RowOperation[] {
  const number = changes + 1;
  const written = upsert(auditRow(number), toBytes(encodeAuditEntry, { ...noted, number }));
  if (number <= AUDIT_ROWS_MAX) return [written];
  return [written, { operation: { case: "delete", value: auditRow(number - AUDIT_ROWS_MAX) } }];
}

function nextMark(name: Uint8Array, from: number): Guard {
  return { guard: { case: "mark", value: { name, from, to: from + 1, allowSkip: false } } };
}

/** The newest rows of the audit log, newest first. */
export function auditRequest(limit: number, level: Level): ScanRowsRequest {
  return { key: TABLE, first: AUDIT_PREFIX, end: AUDIT_END, limit, level, reverse: true };
}

export function auditEntryOf(row: { readonly value: Uint8Array }): AuditEntry {
  return fromBytes(decodeAuditEntry, row.value);
}

function upsert(row: Uint8Array, value: Uint8Array): RowOperation {
  return { operation: { case: "upsert", value: { row, value } } };
}

function auditRow(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(number));
  return Buffer.concat([AUDIT_PREFIX, bytes]);
}
