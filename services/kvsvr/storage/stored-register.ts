/** Registers and inputs to bytes and back (protos/tricampus/kv/v1/storage.proto). */

import { decodeKey, type Key } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import {
  decodeLogRecord,
  decodeStoredRegister,
  encodeStoredRegister,
  type LogRecord,
  type StoredRegister,
} from "../../../protos/gen/tricampus/kv/v1/storage_codec.ts";
import {
  CodecError,
  fromBytes,
  NO_BYTES,
  Reader,
  skipField,
  toBytes,
  type Writer,
} from "../../svrkit/codec.ts";
import { NO_BALLOT, NO_OWNER } from "../protocol/ballot.ts";
import { type Decision, openDecision, viewDecision } from "../protocol/decision.ts";
import { NO_OPERATIONS } from "../protocol/operations.ts";
import type { Held, Input, Register } from "../protocol/register.ts";
import { withTrims } from "../protocol/trim.ts";

/** LogRecord's field 1, the first one written. */
const KEY_TAG = (1 << 3) | 2;
/** Field 12, the last one: true. */
const UNSWEPT = Buffer.from([(12 << 3) | 0, 1]);

/** `unswept`: rows that the register's table has forgotten may still lie in the engine. */
export function encodeRegisterInto(w: Writer, register: Register, unswept: boolean): void {
  const { known, held, accepted } = register;
  encodeStoredRegister(w, {
    knownVersion: known.version,
    knownDigest: known.digest,
    knownOwner: known.owner,
    heldVersion: register.heldVersion,
    heldDigest: register.heldDigest,
    promised: register.promised,
    acceptedBallot: accepted?.ballot,
    accepted: accepted?.decision.bytes ?? NO_BYTES,
    held: storedHeld(held),
    loose: register.loose.map((decision) => decision.bytes),
    unswept,
  });
}

/** `unswept`: see encodeRegisterInto. */
export function encodeRegister(register: Register, unswept: boolean): Buffer {
  return toBytes<Register>((w, given) => encodeRegisterInto(w, given, unswept), register);
}

/** A register that was encoded without the mark, with it. */
export function withUnswept(encoded: Uint8Array): Buffer {
  return Buffer.concat([encoded, UNSWEPT]);
}

/** A register that was encoded with the mark, without it. */
export function withoutUnswept(encoded: Uint8Array): Uint8Array {
  return encoded.subarray(0, encoded.length - UNSWEPT.length);
}

function storedHeld(held: Held) {
  switch (held.model) {
    case "none":
      return undefined;
    case "key":
      return { case: "key" as const, value: held.decision.bytes };
    case "table":
      return {
        case: "table" as const,
        value: {
          lastNumber: held.lastNumber,
          operations: held.operations,
          trims: [...held.trims],
        },
      };
  }
}

export function decodeRegister(bytes: Uint8Array): { register: Register; unswept: boolean } {
  const s = fromBytes(decodeStoredRegister, bytes);
  return { register: registerOf(s, openDecision), unswept: s.unswept };
}

/** The same with views instead of copies: nobody may change `bytes` as long as the register is held. */
export function viewRegister(bytes: Uint8Array): { register: Register; unswept: boolean } {
  const s = fromBytes(decodeStoredRegister, bytes);
  return { register: registerOf(s, viewDecision), unswept: s.unswept };
}

type Open = (encoded: Uint8Array) => Decision;

function registerOf(s: StoredRegister, open: Open): Register {
  return {
    known: { version: s.knownVersion, digest: s.knownDigest, owner: s.knownOwner ?? NO_OWNER },
    heldVersion: s.heldVersion,
    heldDigest: s.heldDigest,
    held: heldOf(s.held, open),
    promised: s.promised ?? NO_BALLOT,
    accepted:
      s.accepted.length === 0
        ? undefined
        : { ballot: s.acceptedBallot ?? NO_BALLOT, decision: open(s.accepted) },
    loose: s.loose.map(open),
  };
}

function heldOf(held: StoredRegister["held"], open: Open): Held {
  switch (held?.case) {
    case "key": {
      const decision = open(held.value);
      if (decision.model !== "key") throw new CodecError("a key's register holds a table's change");
      return { model: "key", decision };
    }
    case "table": {
      const { kept, forgottenMs } = held.value.operations ?? NO_OPERATIONS;
      const operations = { kept: new Uint8Array(kept), forgottenMs };
      const trims = withTrims([], held.value.trims);
      return { model: "table", lastNumber: held.value.lastNumber, operations, trims };
    }
    default:
      return { model: "none" };
  }
}

/** An input as the log keeps it. */
export function logRecord(key: Key, input: Input): LogRecord {
  const settledFrom = input.kind === "settle" ? input.from : undefined;
  return { key, input: loggedInput(input), settledFrom };
}

function loggedInput(input: Input): LogRecord["input"] {
  switch (input.kind) {
    case "prepare": {
      const { version, ballot, baseDigest } = input;
      return { case: "promise", value: { version, ballot, baseDigest } };
    }
    case "accept": {
      const { ballot, decision, baseDigest } = input;
      return { case: "acceptance", value: { ballot, decision: decision.bytes, baseDigest } };
    }
    case "notice":
      return { case: "notice", value: { version: input.version, digest: input.digest } };
    case "learn":
      return { case: "learned", value: input.decision.bytes };
    case "fetched":
      return { case: "fetched", value: input.reply };
    case "copied":
      return { case: "copied", value: input.reply };
    case "settle":
      return { case: "settled", value: true };
  }
}

/** The key alone, as a view into `segment`. */
export function keyOfRecord(segment: Buffer, start: number, end: number): Key {
  const r = new Reader(segment, start, end);
  while (r.pos < end) {
    const tag = r.uint32();
    if (tag === KEY_TAG) return decodeKey(r, r.message());
    skipField(r, tag);
  }
  throw new CodecError("a log record names no key");
}

/** The logged input; keys and rows are views into `bytes`. */
export function decodeInput(bytes: Uint8Array): { key: Key; input: Input } {
  const { key, input, settledFrom } = fromBytes(decodeLogRecord, bytes);
  if (key === undefined || input === undefined)
    throw new CodecError("a log record names no key or input");
  return { key, input: inputOf(input, settledFrom) };
}

function inputOf(
  logged: NonNullable<LogRecord["input"]>,
  settledFrom: LogRecord["settledFrom"],
): Input {
  switch (logged.case) {
    case "promise":
      return { kind: "prepare", ...logged.value, ballot: logged.value.ballot ?? NO_BALLOT };
    case "acceptance": {
      const { ballot = NO_BALLOT, decision, baseDigest } = logged.value;
      return { kind: "accept", ballot, decision: openDecision(decision), baseDigest };
    }
    case "notice":
      return { kind: "notice", ...logged.value };
    case "learned":
      return { kind: "learn", decision: openDecision(logged.value) };
    case "fetched":
      return { kind: "fetched", reply: logged.value };
    case "copied":
      return { kind: "copied", reply: logged.value };
    case "settled":
      return { kind: "settle", from: settledFrom };
  }
}
