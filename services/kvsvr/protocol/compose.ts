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
import { fromBytes, NO_BYTES, toBytes } from "../../svrkit/codec.ts";
import type { Body } from "./decision.ts";
import {
  KEY_OPERATIONS_BYTES_MAX,
  lookUp,
  lookUpAll,
  mergeOperations,
  NO_OPERATIONS,
  OPERATION_HEAD_BYTES,
  type Operation,
  packOperations,
  roomFor,
  TABLE_OPERATIONS_BYTES_MAX,
} from "./operations.ts";
import { planted } from "./planted.ts";
import type { Register } from "./register.ts";
import { ChangePacker, type NotCarriedOut, type TableView } from "./table.ts";

/** At most: a reply without its results, and a result without its value. */
const REPLY_BYTES = 48;
const RESULT_BYTES = 24;

export type Outcome<T> =
  | { outcome: "reply"; reply: T }
  /** The id is older than what is remembered: it may have run. */
  | { outcome: "unknown" }
  | { outcome: "wrongModel"; model: string }
  /** It changes more often than ids can be remembered; nothing was done of this attempt. */
  | { outcome: "tooOften" }
  | { outcome: NotCarriedOut };

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
  const { operationId } = write;
  const before = lookUp(operations, operationId);
  if (before.found === "forgotten") return { body: undefined, outcomes: [{ outcome: "unknown" }] };
  if (before.found === "outcome") {
    const reply = { applied: true, version: before.operation.version };
    return { body: undefined, outcomes: [{ outcome: "reply", reply }] };
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
  const room = roomFor([operationId], operations, KEY_OPERATIONS_BYTES_MAX);
  if (operationId.length > 0 && room < OPERATION_HEAD_BYTES)
    return { body: undefined, outcomes: [{ outcome: "tooOften" }] };
  const version = heldVersion + 1;
  const deleted = write.request.write?.case !== "put";
  const value = write.request.write?.case === "put" ? write.request.write.value : NO_BYTES;
  const added =
    operationId.length === 0
      ? NO_OPERATIONS
      : packOperations([{ id: operationId, version, reply: NO_BYTES }]);
  const kept = mergeOperations(operations, added, KEY_OPERATIONS_BYTES_MAX);
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
  const ids = writes.map(({ operationId }) => operationId);
  const recalled = lookUpAll(operations, ids);
  let room = roomFor(ids, operations, TABLE_OPERATIONS_BYTES_MAX);
  const fresh = new Set<number>();
  const remembered = new Set<number>();
  const firsts = firstOfEach(writes);
  // Of one operation there may be two attempts in one pack.
  const retried = new Set(firsts.filter((_, index) => writes[index]!.isRetry));
  const outcomes = writes.map((write, index): Outcome<ChangeReply> => {
    if (firsts[index] !== index) return { outcome: "unknown" }; // a retry, answered like the first
    const before = recalled[index]!;
    if (before.found === "forgotten") return { outcome: "unknown" };
    if (before.found === "outcome")
      return { outcome: "reply", reply: fromBytes(decodeChangeReply, before.operation.reply) };
    const evaluated = packer.evaluate(write.change);
    if (typeof evaluated === "string") return { outcome: evaluated };
    const { reply, hasWritten } = evaluated;
    // A first attempt that writes nothing may be made again.
    if (write.operationId.length > 0 && (hasWritten || retried.has(index))) {
      room -= rememberedBytes(reply);
      if (room < 0) {
        room += rememberedBytes(reply);
        return { outcome: "tooOften" };
      }
      remembered.add(index);
    }
    packer.carryOut(evaluated);
    fresh.add(index);
    return { outcome: "reply", reply };
  });
  if (packer.applied === 0 && remembered.size === 0)
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
        operations: packOperations(rememberAll(writes, settled, remembered, version)),
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
  remembered: ReadonlySet<number>,
  version: number,
): Operation[] {
  const operations: Operation[] = [];
  for (const index of remembered) {
    const outcome = outcomes[index]!;
    if (outcome.outcome !== "reply") continue;
    const reply = toBytes(encodeChangeReply, outcome.reply);
    operations.push({ id: writes[index]!.operationId, version, reply });
  }
  return operations;
}

/** Not less than what an operation with this reply takes. */
function rememberedBytes({ results }: ChangeReply): number {
  return results.reduce(
    (sum, { value }) => sum + RESULT_BYTES + value.length,
    OPERATION_HEAD_BYTES + REPLY_BYTES,
  );
}
