/** What a request from outside may ask for: sizes, counts, clocks. Each throws the RpcError that says why not. */
import type { TableChange, Trim } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { RpcError, requireArgument } from "../svrkit/errors.ts";
import { FRAME_BYTES_MAX } from "../svrkit/limits.ts";
import {
  OPERATION_AHEAD_MS_MAX,
  OPERATIONS_PER_CHANGE_MAX,
  PAGE_ROWS_MAX,
  ROW_KEY_BYTES_MAX,
  TRIM_PREFIX_BYTES_MAX,
  VALUE_BYTES_MAX,
} from "./limits.ts";
import { createdMs } from "./protocol/operations.ts";
import { planted } from "./protocol/planted.ts";

const OPERATION_ID_BYTES = 16;

/** Of the right length, or empty, and not of the future. */
export function checkOperationId(operationId: Uint8Array): void {
  requireArgument(
    operationId.length === 0 || operationId.length === OPERATION_ID_BYTES,
    `an operation id has ${OPERATION_ID_BYTES} bytes`,
  );
  requireClock(operationId);
}

/** UNAVAILABLE, since it may be this replica's clock that is wrong. */
function requireClock(operationId: Uint8Array): void {
  if (operationId.length === 0) return;
  const aheadMs = createdMs(operationId) - Date.now();
  if (aheadMs <= OPERATION_AHEAD_MS_MAX || planted("future-ids-accepted")) return;
  throw new RpcError(
    "UNAVAILABLE",
    `the operation was begun ${aheadMs} ms from now: the client's clock or this replica's is wrong`,
  );
}

export function requireSize(bytes: number, what: string): void {
  if (bytes > VALUE_BYTES_MAX) {
    throw new RpcError("TOO_LARGE", `${what} of ${bytes} bytes: the limit is ${VALUE_BYTES_MAX}`);
  }
}

/** Checks a change's limits; returns its size in bytes. */
export function checkChange(change: TableChange): number {
  const count = change.operations.length + change.guards.length;
  requireArgument(
    count > 0 && count <= OPERATIONS_PER_CHANGE_MAX,
    `a change of ${count} operations and guards: 1 to ${OPERATIONS_PER_CHANGE_MAX} are allowed`,
  );
  let bytes = 0;
  for (const { guard } of change.guards) {
    requireArgument(guard !== undefined, "a guard without a condition");
    bytes += checkRowKey(guard.case === "mark" ? guard.value.name : guard.value.row);
  }
  for (const { operation } of change.operations) {
    requireArgument(operation !== undefined, "an operation without a kind");
    if (operation.case === "delete") bytes += checkRowKey(operation.value);
    else if (operation.case === "trim") bytes += checkTrim(operation.value);
    else if (operation.case === "append") {
      bytes +=
        checkRowKey(operation.value.id) +
        operation.value.prefix.length +
        operation.value.value.length;
      checkRowKey(Buffer.concat([operation.value.prefix, Buffer.alloc(8)]));
    } else bytes += checkRowKey(operation.value.row) + operation.value.value.length;
  }
  requireSize(bytes, "a change");
  return bytes;
}

function checkTrim({ rowPrefix, appendIds }: Trim): number {
  requireArgument(
    rowPrefix.length <= TRIM_PREFIX_BYTES_MAX,
    `a prefix of ${rowPrefix.length} bytes to trim by: the limit is ${TRIM_PREFIX_BYTES_MAX}`,
  );
  requireArgument(
    !appendIds || rowPrefix.length === 0,
    "a trim forgets ids of appends or rows under a prefix: ask for both one by one",
  );
  return rowPrefix.length;
}

/** Rows, marks or ids to be looked up: as many as a page has, each as long as one can be. */
export function checkLookUps(names: readonly Uint8Array[], what: string): void {
  requireArgument(
    names.length <= PAGE_ROWS_MAX,
    `${names.length} ${what} in one call: at most ${PAGE_ROWS_MAX} are allowed`,
  );
  const longest = Math.max(0, ...names.map((name) => name.length));
  requireArgument(
    longest <= ROW_KEY_BYTES_MAX,
    `${longest} bytes of one of the ${what}: at most ${ROW_KEY_BYTES_MAX} are allowed`,
  );
}

/** `bytes`: of the rows found so far, so that what no frame carries is not gathered to its end. */
export function requireFrame(bytes: number): void {
  if (bytes <= FRAME_BYTES_MAX) return;
  const message = `the rows asked for have more than ${FRAME_BYTES_MAX} bytes: ask for fewer at once`;
  throw new RpcError("TOO_LARGE", message);
}

/** Where a scan begins or ends: a name, or the very next one after it. */
export function checkBound(bound: Uint8Array): void {
  requireArgument(
    bound.length <= ROW_KEY_BYTES_MAX + 1,
    `a scan's bound of ${bound.length} bytes: at most ${ROW_KEY_BYTES_MAX + 1} are allowed`,
  );
}

function checkRowKey(row: Uint8Array): number {
  requireArgument(
    row.length > 0 && row.length <= ROW_KEY_BYTES_MAX,
    `a row key of ${row.length} bytes: 1 to ${ROW_KEY_BYTES_MAX} are allowed`,
  );
  return row.length;
}
