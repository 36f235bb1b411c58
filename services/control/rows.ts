/**
 * The control table as rows of the store: one row with everything that is blocked, a mark that counts
 * the changes, and one row a change, the audit log.
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
  type ChangeRequest,
  type GetRowsReply,
  type GetRowsRequest,
  type Key,
  Keyspace,
  type Level,
  type RowOperation,
  type ScanRowsRequest,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { fromBytes, toBytes } from "../svrkit/codec.ts";

/** Rows of the audit log that are kept; each change deletes the one that is older. */
export const AUDIT_ROWS_MAX = 1_000;

const TABLE: Key = { keyspace: Keyspace.CONTROL, key: Buffer.from("control") };
const BLOCKS_ROW = Buffer.from("blocks");
const CHANGES_MARK = Buffer.from("changes");
const AUDIT_PREFIX = Buffer.from("audit/");
/** Behind every row that begins with the prefix. */
const AUDIT_END = Buffer.from("audit0");

export interface ControlState {
  /** The table's version. */
  readonly version: number;
  /** How often it was changed. */
  readonly changes: number;
  /** Those that are over may still be among them. */
  readonly blocks: readonly Block[];
}

export function stateRequest(level: Level): GetRowsRequest {
  return { key: TABLE, rows: [BLOCKS_ROW], marks: [CHANGES_MARK], level };
}

export function stateOf({ version, rows, marks }: GetRowsReply): ControlState {
  const [row] = rows;
  const blocks = row === undefined ? [] : fromBytes(decodeBlocks, row.value).blocks;
  return { version, changes: marks[0] ?? 0, blocks };
}

/** Replaces what is blocked, if nobody did since `before` was read, and notes it in the audit log. */
export function changeRequest(
  before: ControlState,
  blocks: readonly Block[],
  noted: Omit<AuditEntry, "number">,
): ChangeRequest {
  const from = before.changes;
  const number = from + 1;
  const mark = { name: CHANGES_MARK, from, to: number, allowSkip: false };
  const operations: RowOperation[] = [
    upsert(BLOCKS_ROW, toBytes(encodeBlocks, { blocks: [...blocks] })),
    upsert(auditRow(number), toBytes(encodeAuditEntry, { ...noted, number })),
  ];
  if (number > AUDIT_ROWS_MAX) {
    operations.push({ operation: { case: "delete", value: auditRow(number - AUDIT_ROWS_MAX) } });
  }
  return { key: TABLE, change: { guards: [{ guard: { case: "mark", value: mark } }], operations } };
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
