/**
 * Operation ids and their outcomes (S4): part of every decided value, so that they go wherever the
 * value goes. Kept for OPERATION_WINDOW_MS; forgetting raises `forgottenMs`, the newest creation time
 * that may have been forgotten, and an id at or below it that is not found gets OUTCOME_UNKNOWN,
 * never a second run. All times are creation times out of the ids themselves.
 */
import type { Operation, Operations } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";

/** Longer than any client retries one operation: WRITE_DEADLINE_MS_MAX of client.ts. */
const OPERATION_WINDOW_MS = 20_000;
/** A key changed more often than this within the window forgets the oldest first. */
const OPERATIONS_KEPT_MAX = 256;

export const NO_OPERATIONS: Operations = { kept: [], forgottenMs: 0 };

export type Lookup =
  | { found: "never" }
  | { found: "outcome"; operation: Operation }
  | { found: "forgotten" };

/** Creation time in an operation id, ms since 1970. */
function timeOfId(id: Uint8Array): number {
  let ms = 0;
  for (let i = 0; i < 6; i++) ms = ms * 256 + (id[i] ?? 0);
  return ms;
}

export function lookUp(operations: Operations, id: Uint8Array): Lookup {
  for (let i = operations.kept.length - 1; i >= 0; i--) {
    const operation = operations.kept[i]!;
    if (isSameId(operation.id, id)) return { found: "outcome", operation };
  }
  return timeOfId(id) <= operations.forgottenMs ? { found: "forgotten" } : { found: "never" };
}

/** Adds operations and forgets what is outside the window or over the limit. */
export function mergeOperations(before: Operations, added: Operations): Operations {
  const kept = before.kept.concat(added.kept.map(compact));
  let forgottenMs = Math.max(before.forgottenMs, added.forgottenMs);
  let newestMs = 0;
  for (const operation of kept) newestMs = Math.max(newestMs, timeOfId(operation.id));
  const cut = Math.max(newestMs - OPERATION_WINDOW_MS, 0);
  const surplus = kept.length - OPERATIONS_KEPT_MAX;
  const left = kept.filter((operation, index) => {
    const ms = timeOfId(operation.id);
    if (ms > cut && index >= surplus) return true;
    forgottenMs = Math.max(forgottenMs, ms);
    return false;
  });
  return { kept: left, forgottenMs };
}

/** A copy of its own: 16 bytes that are kept for long must not hold the request they came in. */
function compact(operation: Operation): Operation {
  const { id, version, reply } = operation;
  return { id: new Uint8Array(id), version, reply: new Uint8Array(reply) };
}

function isSameId(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = a.length - 1; i >= 0; i--) if (a[i] !== b[i]) return false;
  return true;
}
