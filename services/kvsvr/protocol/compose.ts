/**
 * What the next version of a key or table holds: waiting writes evaluated against the newest version
 * that the proposer has (S4, S8). Pure. Each write gets an outcome; the outcomes come true together
 * with the composed body, or, when nothing is to be written, once the base is confirmed as newest.
 */
import {
  type ChangeReply,
  decodeChangeReply,
  encodeChangeReply,
  type TableChange,
  type WriteReply,
  type WriteRequest,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { Operations } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { fromBytes, NO_BYTES, toBytes } from "../../svrkit/codec.ts";
import type { Body } from "./decision.ts";
import {
  lookUp,
  mergeOperations,
  NO_OPERATIONS,
  type Operation,
  packOperations,
} from "./operations.ts";
import { planted } from "./planted.ts";
import type { Register } from "./register.ts";
import { ChangePacker, type TableView } from "./table.ts";

export type Outcome<T> =
  | { outcome: "reply"; reply: T }
  /** The id is older than what is remembered: it may have run. */
  | { outcome: "unknown" }
  | { outcome: "wrongModel"; model: string }
  /** The table is trimmed by as many kinds of rows as it can remember. */
  | { outcome: "tooManyTrims" };

export interface Composed<T> {
  /** undefined: nothing to write. */
  readonly body: Body | undefined;
  readonly outcomes: readonly Outcome<T>[];
}

export interface KeyWrite {
  readonly operationId: Uint8Array;
  readonly request: WriteRequest;
  /** Ids made at or before this time may have been forgotten with the key (Floor in absent.ts). */
  readonly forgottenMs: number;
}

export function composeKey(register: Register, write: KeyWrite): Composed<WriteReply> {
  const { held } = register;
  const isForgotten =
    planted("tombstone-forgotten") && held.model === "key" && held.decision.key.deleted;
  const heldVersion = isForgotten ? 0 : register.heldVersion;
  if (held.model === "table")
    return { body: undefined, outcomes: [{ outcome: "wrongModel", model: "table" }] };
  const operations =
    held.model === "key"
      ? (held.decision.key.operations ?? NO_OPERATIONS)
      : { ...NO_OPERATIONS, forgottenMs: write.forgottenMs };
  const before = recall(operations, write.operationId);
  if (before !== undefined) {
    const outcome = before === "unknown" ? before : { applied: true, version: before.version };
    return {
      body: undefined,
      outcomes: [outcome === "unknown" ? { outcome } : { outcome: "reply", reply: outcome }],
    };
  }
  const { expectedVersion } = write.request;
  const isChecked = expectedVersion !== undefined && !planted("condition-ignored");
  const isExpected =
    expectedVersion === heldVersion || (expectedVersion === 0 && held.model === "none");
  if (isChecked && !isExpected) {
    return {
      body: undefined,
      outcomes: [{ outcome: "reply", reply: { applied: false, version: heldVersion } }],
    };
  }
  const version = heldVersion + 1;
  const deleted = write.request.write?.case !== "put";
  const value = write.request.write?.case === "put" ? write.request.write.value : NO_BYTES;
  const added =
    write.operationId.length === 0
      ? NO_OPERATIONS
      : packOperations([{ id: write.operationId, version, reply: NO_BYTES }]);
  const kept = mergeOperations(operations, added);
  return {
    body: { case: "key", value: { deleted, value, operations: kept } },
    outcomes: [{ outcome: "reply", reply: { applied: true, version } }],
  };
}

export interface TableWrite {
  readonly operationId: Uint8Array;
  readonly change: TableChange;
  /** An earlier attempt may still be on its way: the outcome is remembered even if nothing is written. */
  readonly isRetry: boolean;
}

export function composeTable(
  register: Register,
  view: TableView,
  writes: readonly TableWrite[],
): Composed<ChangeReply> {
  const { held } = register;
  if (held.model === "key") {
    return {
      body: undefined,
      outcomes: writes.map(() => ({ outcome: "wrongModel", model: "key" })),
    };
  }
  const operations = held.model === "table" ? held.operations : NO_OPERATIONS;
  const packer = new ChangePacker(view);
  const fresh = new Set<number>();
  const firsts = firstOfEach(writes);
  const outcomes = writes.map((write, index): Outcome<ChangeReply> => {
    if (firsts[index] !== index) return { outcome: "unknown" }; // a retry, answered like the first
    const before = recall(operations, write.operationId);
    if (before === "unknown") return { outcome: "unknown" };
    if (before !== undefined)
      return { outcome: "reply", reply: fromBytes(decodeChangeReply, before.reply) };
    const reply = packer.add(write.change);
    if (reply === undefined) return { outcome: "tooManyTrims" };
    fresh.add(index);
    return { outcome: "reply", reply };
  });
  const mustRemember = [...fresh].some(
    (i) => writes[i]!.isRetry && writes[i]!.operationId.length > 0,
  );
  if (packer.applied === 0 && !mustRemember)
    return { body: undefined, outcomes: firsts.map((i) => outcomes[i]!) };
  const version = view.version + 1;
  const settled = outcomes.map((outcome, index): Outcome<ChangeReply> => {
    if (!fresh.has(index) || outcome.outcome !== "reply") return outcome;
    const alone = packer.applied === 1 && outcome.reply.version === version;
    return { outcome: "reply", reply: { ...outcome.reply, alone } };
  });
  return {
    body: {
      case: "table",
      value: {
        rows: packer.writes,
        lastNumber: packer.lastNumber,
        operations: packOperations(rememberAll(writes, settled, fresh, version)),
        baseDigest: register.heldDigest,
        trims: packer.trims,
      },
    },
    outcomes: firsts.map((index) => settled[index]!),
  };
}

/** For each write the first one under the same operation id: a retry may wait behind its original. */
function firstOfEach(writes: readonly TableWrite[]): number[] {
  if (writes.length < 2 || planted("retry-packed-twice")) return writes.map((_, index) => index);
  const firsts = new Map<string, number>();
  return writes.map(({ operationId }, index) => {
    if (operationId.length === 0) return index;
    const name = Buffer.from(operationId).toString("latin1");
    const first = firsts.get(name);
    if (first === undefined) firsts.set(name, index);
    return first ?? index;
  });
}

function rememberAll(
  writes: readonly TableWrite[],
  outcomes: readonly Outcome<ChangeReply>[],
  fresh: ReadonlySet<number>,
  version: number,
): Operation[] {
  const operations: Operation[] = [];
  writes.forEach((write, index) => {
    const outcome = outcomes[index]!;
    if (write.operationId.length === 0 || !fresh.has(index) || outcome.outcome !== "reply") return;
    operations.push({
      id: write.operationId,
      version,
      reply: toBytes(encodeChangeReply, outcome.reply),
    });
  });
  return operations;
}

function recall(operations: Operations, id: Uint8Array): Operation | "unknown" | undefined {
  if (id.length === 0) return undefined;
  const found = lookUp(operations, id);
  if (found.found === "outcome") return found.operation;
  return found.found === "forgotten" ? "unknown" : undefined;
}
