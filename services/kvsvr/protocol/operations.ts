/**
 * Operation ids and their outcomes (S4): part of every decided value, so that they go wherever the
 * value goes. Kept for OPERATION_WINDOW_MS; forgetting raises `forgottenMs`, the newest creation time
 * that may have been forgotten, and an id at or below it that is not found gets OUTCOME_UNKNOWN,
 * never a second run. All times are creation times out of the ids themselves.
 *
 * The list is packed (Operations in replica.proto): every write copies it, few look inside.
 */
import type { Operations } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";

/** Longer than any client retries one operation: WRITE_DEADLINE_MS_MAX of client.ts. */
const OPERATION_WINDOW_MS = 20_000;
/** A key changed more often than this within the window forgets the oldest first. */
const OPERATIONS_KEPT_MAX = 256;

const ID_BYTES = 16;
const VERSION_AT = ID_BYTES;
const LENGTH_AT = VERSION_AT + 6;
const HEAD_BYTES = LENGTH_AT + 4;
/** Of one that has no reply. */
export const OPERATION_HEAD_BYTES = HEAD_BYTES;

export const NO_OPERATIONS: Operations = { kept: NO_BYTES, forgottenMs: 0 };

export interface Operation {
  /** 16 bytes. */
  readonly id: Uint8Array;
  /** Version in which it took effect. */
  readonly version: number;
  /** An encoded ChangeReply; empty for keys. */
  readonly reply: Uint8Array;
}

export type Lookup =
  | { found: "never" }
  | { found: "outcome"; operation: Operation }
  | { found: "forgotten" };

/** When an operation was begun, by its client's clock: ms since 1970. */
export function createdMs(id: Uint8Array): number {
  return timeAt(id, 0);
}

/** Creation time in an operation id, ms since 1970. */
function timeAt(bytes: Uint8Array, at: number): number {
  const high = bytes[at]! * 256 + bytes[at + 1]!;
  return high * 0x100000000 + uint32At(bytes, at + 2);
}

function uint32At(b: Uint8Array, at: number): number {
  return ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0;
}

function versionAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! * 256 + bytes[at + 1]!) * 0x100000000 + uint32At(bytes, at + 2);
}

/** Where the operation after the one at `at` begins. */
function nextAt(bytes: Uint8Array, at: number): number {
  return at + HEAD_BYTES + uint32At(bytes, at + LENGTH_AT);
}

export function lookUp(operations: Operations, id: Uint8Array): Lookup {
  const { kept } = operations;
  for (let at = 0; at < kept.length; at = nextAt(kept, at)) {
    if (!isIdAt(kept, at, id)) continue;
    const reply = kept.subarray(at + HEAD_BYTES, nextAt(kept, at));
    return {
      found: "outcome",
      operation: { id, version: versionAt(kept, at + VERSION_AT), reply },
    };
  }
  return timeAt(id, 0) <= operations.forgottenMs ? { found: "forgotten" } : { found: "never" };
}

function isIdAt(kept: Uint8Array, at: number, id: Uint8Array): boolean {
  // The counter at the end of an id differs soonest.
  for (let i = ID_BYTES - 1; i >= 0; i--) if (kept[at + i] !== id[i]) return false;
  return true;
}

export function packOperations(operations: readonly Operation[]): Operations {
  if (operations.length === 0) return NO_OPERATIONS;
  const size = operations.reduce((sum, { reply }) => sum + HEAD_BYTES + reply.length, 0);
  const kept = Buffer.allocUnsafe(size);
  let at = 0;
  for (const { id, version, reply } of operations) {
    kept.set(id, at);
    kept.writeUIntBE(version, at + VERSION_AT, 6);
    kept.writeUInt32BE(reply.length, at + LENGTH_AT);
    kept.set(reply, at + HEAD_BYTES);
    at += HEAD_BYTES + reply.length;
  }
  return { kept, forgottenMs: 0 };
}

/**
 * Adds operations behind those before, and forgets from the front what is outside the window or over
 * the limit. An old id behind a younger one stays until that one goes too.
 */
export function mergeOperations(before: Operations, added: Operations): Operations {
  if (added.kept.length === 0 && added.forgottenMs <= before.forgottenMs) return before;
  let { count, newestMs } = measure(before.kept);
  const more = measure(added.kept);
  count += more.count;
  newestMs = Math.max(newestMs, more.newestMs);
  let forgottenMs = Math.max(before.forgottenMs, added.forgottenMs);
  const cut = newestMs - OPERATION_WINDOW_MS;
  let at = 0;
  for (; at < before.kept.length; at = nextAt(before.kept, at), count--) {
    const ms = timeAt(before.kept, at);
    if (ms > cut && count <= OPERATIONS_KEPT_MAX) break;
    forgottenMs = Math.max(forgottenMs, ms);
  }
  const left = before.kept.length - at;
  const kept = Buffer.allocUnsafe(left + added.kept.length);
  kept.set(before.kept.subarray(at), 0);
  kept.set(added.kept, left);
  return { kept, forgottenMs };
}

/** Creation time of the newest id that is kept or was forgotten; 0: there was none. */
export function newestMs(operations: Operations | undefined): number {
  if (operations === undefined) return 0;
  return Math.max(operations.forgottenMs, measure(operations.kept).newestMs);
}

function measure(kept: Uint8Array): { count: number; newestMs: number } {
  let count = 0;
  let newestMs = 0;
  for (let at = 0; at < kept.length; at = nextAt(kept, at)) {
    count += 1;
    newestMs = Math.max(newestMs, timeAt(kept, at));
  }
  return { count, newestMs };
}
