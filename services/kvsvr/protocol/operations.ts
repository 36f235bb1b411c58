/**
 * Operation ids and their outcomes (S4): part of every decided value, so that they go wherever the
 * value goes. Forgetting raises `forgottenMs`, the newest creation time that may have been forgotten,
 * and an id at or below it that is not found gets OUTCOME_UNKNOWN, never a second run: a first attempt
 * too, when its client's clock is late or it was long on its way. So what is younger than
 * OPERATION_RETRIED_MS stays, however many they are, and a write for which there is no room left is
 * refused before it is taken (`roomFor`). What is older stays while it is little, up to
 * OPERATION_WINDOW_MS. All times are creation times out of the ids themselves.
 *
 * The list is packed (Operations in replica.proto): every write copies it, few look inside.
 */
import type { Operations } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";

/** Longer than any client retries one operation: WRITE_DEADLINE_MS_MAX of client.ts. */
const OPERATION_WINDOW_MS = 20_000;
/**
 * Younger ids, by the newest one's time, are not forgotten: the attempts that the loss of a replica
 * costs are over by then (promise 3), and clients' clocks may differ by as much.
 */
const OPERATION_RETRIED_MS = 2_000;
/**
 * Bytes of all ids of one key or table, their replies with them: what no frame and no vote is too small
 * for. A key's are in every one of its values, a table's in what a replica knows of it.
 */
export const KEY_OPERATIONS_BYTES_MAX = 64 * 1024;
export const TABLE_OPERATIONS_BYTES_MAX = 1536 * 1024;
/** Older ones go when they are more than this, or larger. */
const OLDER_KEPT_MAX = 256;
const OLDER_BYTES_MAX = 64 * 1024;

const ID_BYTES = 16;
const COUNTER_AT = ID_BYTES - 4;
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
  for (let at = 0; at < kept.length; at = nextAt(kept, at))
    if (isIdAt(kept, at, id)) return outcomeAt(kept, at);
  return unseen(operations, id);
}

/** What lookUp says of each; in one pass, for a busy table's list is long, and what asks are many. */
export function lookUpAll(operations: Operations, ids: readonly Uint8Array[]): Lookup[] {
  if (ids.length === 1) return [lookUp(operations, ids[0]!)];
  const found: (Lookup | undefined)[] = ids.map(() => undefined);
  const byCounter = new Map<number, number[]>();
  ids.forEach((id, index) => {
    const counter = uint32At(id, COUNTER_AT);
    const same = byCounter.get(counter);
    if (same === undefined) byCounter.set(counter, [index]);
    else same.push(index);
  });
  const { kept } = operations;
  for (let at = 0; at < kept.length; at = nextAt(kept, at)) {
    const same = byCounter.get(uint32At(kept, at + COUNTER_AT));
    if (same === undefined) continue;
    for (const index of same) if (isIdAt(kept, at, ids[index]!)) found[index] = outcomeAt(kept, at);
  }
  return ids.map((id, index) => found[index] ?? unseen(operations, id));
}

function unseen({ forgottenMs }: Operations, id: Uint8Array): Lookup {
  if (id.length === 0) return { found: "never" };
  return timeAt(id, 0) <= forgottenMs ? { found: "forgotten" } : { found: "never" };
}

function outcomeAt(kept: Uint8Array, at: number): Lookup {
  const end = nextAt(kept, at);
  const id = kept.subarray(at, at + ID_BYTES);
  const reply = kept.subarray(at + HEAD_BYTES, end);
  return { found: "outcome", operation: { id, version: versionAt(kept, at + VERSION_AT), reply } };
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
 * Adds operations behind those before, and forgets from the front what may be. An old id behind a
 * younger one stays until that one goes too. `bytesMax` holds also for what was decided by a replica
 * that refuses nothing, being of an earlier version.
 */
export function mergeOperations(
  before: Operations,
  added: Operations,
  bytesMax: number,
): Operations {
  if (added.kept.length === 0 && added.forgottenMs <= before.forgottenMs) return before;
  const had = measure(before.kept);
  const more = measure(added.kept);
  const newest = Math.max(had.newestMs, more.newestMs);
  let count = had.count + more.count;
  let bytes = before.kept.length + added.kept.length;
  let forgottenMs = Math.max(before.forgottenMs, added.forgottenMs);
  let at = 0;
  for (; at < before.kept.length; count--) {
    const ms = timeAt(before.kept, at);
    const isOver =
      ms <= newest - OPERATION_WINDOW_MS ||
      bytes > bytesMax ||
      (isOlder(ms, newest) && (count > OLDER_KEPT_MAX || bytes > OLDER_BYTES_MAX));
    if (!isOver) break;
    forgottenMs = Math.max(forgottenMs, ms);
    const next = nextAt(before.kept, at);
    bytes -= next - at;
    at = next;
  }
  const kept = Buffer.allocUnsafe(bytes);
  kept.set(before.kept.subarray(at), 0);
  kept.set(added.kept, before.kept.length - at);
  return { kept, forgottenMs };
}

function isOlder(ms: number, newest: number): boolean {
  return ms <= newest - OPERATION_RETRIED_MS;
}

/** The bytes left for operations of these ids, if nothing is forgotten that may be asked again. */
export function roomFor(ids: readonly Uint8Array[], before: Operations, bytesMax: number): number {
  const { kept } = before;
  if (kept.length <= OLDER_BYTES_MAX / 2) return bytesMax - kept.length;
  const newest = ids.reduce(
    (ms, id) => (id.length > 0 ? Math.max(ms, timeAt(id, 0)) : ms),
    measure(kept).newestMs,
  );
  let at = 0;
  while (at < kept.length && isOlder(timeAt(kept, at), newest)) at = nextAt(kept, at);
  return bytesMax - (kept.length - at);
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
