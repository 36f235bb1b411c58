/** Registers to bytes and back (protos/tricampus/kv/v1/storage.proto). */

import type { Key } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import {
  decodeLogRecord,
  decodeStoredRegister,
  encodeLogRecord,
  encodeStoredRegister,
  type LogRecord,
} from "../../../protos/gen/tricampus/kv/v1/storage_codec.ts";
import { fromBytes, toBytes } from "../../svrkit/codec.ts";
import { NO_BALLOT, NO_OWNER } from "../protocol/ballot.ts";
import { NO_OPERATIONS } from "../protocol/operations.ts";
import type { Held, Input, Register } from "../protocol/register.ts";

export function encodeRegister(register: Register): Buffer {
  const { known, held, accepted } = register;
  return toBytes(encodeStoredRegister, {
    knownVersion: known.version,
    knownDigest: known.digest,
    knownOwner: known.owner,
    heldVersion: register.heldVersion,
    heldDigest: register.heldDigest,
    promised: register.promised,
    acceptedBallot: accepted?.ballot,
    accepted: accepted?.decision,
    held: storedHeld(held),
    loose: [...register.loose],
  });
}

function storedHeld(held: Held) {
  switch (held.model) {
    case "none":
      return undefined;
    case "key":
      return { case: "key" as const, value: held.state };
    case "table":
      return {
        case: "table" as const,
        value: { lastNumber: held.lastNumber, operations: held.operations },
      };
  }
}

export function decodeRegister(bytes: Uint8Array): Register {
  const s = fromBytes(decodeStoredRegister, bytes);
  return {
    known: { version: s.knownVersion, digest: s.knownDigest, owner: s.knownOwner ?? NO_OWNER },
    heldVersion: s.heldVersion,
    heldDigest: s.heldDigest,
    held: heldOf(s.held),
    promised: s.promised ?? NO_BALLOT,
    accepted:
      s.accepted === undefined
        ? undefined
        : { ballot: s.acceptedBallot ?? NO_BALLOT, decision: s.accepted },
    loose: s.loose,
  };
}

function heldOf(held: ReturnType<typeof decodeStoredRegister>["held"]): Held {
  switch (held?.case) {
    case "key":
      return { model: "key", state: held.value };
    case "table":
      return {
        model: "table",
        lastNumber: held.value.lastNumber,
        operations: held.value.operations ?? NO_OPERATIONS,
      };
    default:
      return { model: "none" };
  }
}

/** An input as the log keeps it. */
export function encodeInput(key: Key, input: Input): Buffer {
  return toBytes(encodeLogRecord, { key, input: loggedInput(input) });
}

function loggedInput(input: Input): LogRecord["input"] {
  switch (input.kind) {
    case "prepare": {
      const { version, ballot, baseDigest } = input;
      return { case: "promise", value: { version, ballot, baseDigest } };
    }
    case "accept": {
      const { ballot, decision, baseDigest } = input;
      return { case: "acceptance", value: { ballot, decision, baseDigest } };
    }
    case "notice":
      return { case: "notice", value: { version: input.version, digest: input.digest } };
    case "learn":
      return { case: "learned", value: { decision: input.decision, baseDigest: input.baseDigest } };
    case "fetched":
      return { case: "fetched", value: input.reply };
  }
}

/** The logged input; its values are views into `bytes`. */
export function decodeInput(bytes: Uint8Array): { key: Key; input: Input } {
  const record = fromBytes(decodeLogRecord, bytes);
  if (record.key === undefined || record.input === undefined)
    throw new Error("a log record names no key or input");
  return { key: record.key, input: inputOf(record.input) };
}

function inputOf(logged: NonNullable<LogRecord["input"]>): Input {
  switch (logged.case) {
    case "promise":
      return { kind: "prepare", ...logged.value, ballot: logged.value.ballot ?? NO_BALLOT };
    case "acceptance": {
      const { ballot, decision, baseDigest } = logged.value;
      return {
        kind: "accept",
        ballot: ballot ?? NO_BALLOT,
        decision: present(decision),
        baseDigest,
      };
    }
    case "notice":
      return { kind: "notice", ...logged.value };
    case "learned":
      return {
        kind: "learn",
        decision: present(logged.value.decision),
        baseDigest: logged.value.baseDigest,
      };
    case "fetched":
      return { kind: "fetched", reply: logged.value };
  }
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("a log record has no decision");
  return value;
}
