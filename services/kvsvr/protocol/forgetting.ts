/**
 * Forgetting tombstones (S5): which ones together, and how an attempt ends. Pure; forgetting.ts acts.
 *
 *   gather -> all three freeze the same tombstones, and what is absent in their slots, and are the same
 *          -> COMMITTED in the group's row: the floor is in force, each replica removes them
 *          -> or ABORTED: nothing was changed
 */
import {
  type ForgetOutcome,
  type ForgetReply,
  ForgetOutcomeOutcome as Outcome,
} from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { murmur3 } from "../../svrkit/murmur3.ts";
import { type Floor, type Tombstone, tombstoneOf } from "./absent.ts";
import { REPLICAS } from "./ballot.ts";
import { planted } from "./planted.ts";
import type { Register } from "./register.ts";

/** Tombstones of one attempt, and keys in its slots: what every replica lists while they are frozen. */
const KEYS_MAX = 1_000;
const KEY_BYTES_MAX = 64 * 1024;
const NAMES_MAX = 5_000;

/** Slots of a keyspace. */
interface Span {
  readonly keyspace: number;
  readonly first: number;
  /** Included. */
  readonly last: number;
}

interface ForgettableKey {
  readonly registerKey: Buffer;
  readonly version: number;
  readonly digest: number;
}

export interface Batch {
  readonly span: Span;
  readonly floor: Floor;
  readonly keys: readonly ForgettableKey[];
}

/** The tombstone that may be forgotten: no client can still ask again under an id that it holds. */
export function forgettable(register: Register, cutoffMs: number): Tombstone | undefined {
  const tombstone = tombstoneOf(register);
  return tombstone !== undefined && tombstone.newestMs <= cutoffMs ? tombstone : undefined;
}

/** Takes a listing in order, and gives batches of what can be forgotten. */
export class Gathering {
  readonly #cutoffMs: number;
  readonly #isOwned: (span: Span) => boolean;
  #keys: ForgettableKey[] = [];
  #span: Span | undefined;
  #version = 0;
  #forgottenMs = 0;
  #bytes = 0;
  #names = 0;

  constructor(cutoffMs: number, isOwned: (span: Span) => boolean) {
    this.#cutoffMs = cutoffMs;
    this.#isOwned = isOwned;
  }

  /** A batch that is full, without this key. */
  add(registerKey: Buffer, register: Register): Batch | undefined {
    this.#names += 1;
    const tombstone = forgettable(register, this.#cutoffMs);
    if (tombstone === undefined) return undefined;
    const keyspace = registerKey[0]!;
    const slot = registerKey.readUInt16BE(1);
    const only = { keyspace, first: slot, last: slot };
    const before = this.#span;
    const joined = before?.keyspace === keyspace ? { ...before, last: slot } : undefined;
    const isFull =
      this.#names > NAMES_MAX || this.#keys.length >= KEYS_MAX || this.#bytes >= KEY_BYTES_MAX;
    const goesOn = joined !== undefined && !isFull && this.#isOwned(joined);
    const full = goesOn ? undefined : this.end();
    if (!this.#isOwned(only)) return full;
    this.#span = goesOn ? joined : only;
    const { version, digest, newestMs } = tombstone;
    this.#keys.push({ registerKey, version, digest });
    this.#bytes += registerKey.length;
    this.#version = Math.max(this.#version, version);
    this.#forgottenMs = Math.max(this.#forgottenMs, newestMs);
    return full;
  }

  /** What has been gathered, if anything has. */
  end(): Batch | undefined {
    const span = this.#span;
    const floor = { version: this.#version + 1, forgottenMs: this.#forgottenMs };
    const keys = this.#keys;
    this.#span = undefined;
    this.#keys = [];
    this.#version = 0;
    this.#forgottenMs = 0;
    this.#bytes = 0;
    this.#names = 1;
    return span && { span, floor, keys };
  }
}

/**
 * The floor of a batch in slots that have floors: above every version that is forgotten, and above what a
 * message on its way could still propose to follow it; no floor ever falls.
 */
export function floorAbove(floor: Floor, before: readonly (Span & Floor)[]): Floor {
  return before.reduce(
    (high, { version, forgottenMs }) => ({
      version: Math.max(high.version, version),
      forgottenMs: Math.max(high.forgottenMs, forgottenMs),
    }),
    floor,
  );
}

/** A digest of names in the order in which they are added, 53 bits. */
export class NamesDigest {
  #high: number;
  #low: number;
  count = 0;

  constructor(floors: readonly (Span & Floor)[]) {
    const text = Buffer.from(JSON.stringify(floors));
    this.#high = murmur3(text, 1);
    this.#low = murmur3(text, 2);
  }

  add(registerKey: Buffer): void {
    this.#high = murmur3(registerKey, this.#high);
    this.#low = murmur3(registerKey, this.#low);
    this.count += 1;
  }

  get value(): number {
    return this.#high * 0x200000 + (this.#low & 0x1fffff);
  }
}

/** Why an attempt must not be committed; undefined: all three have frozen the same. */
export function whyNot(replies: readonly (ForgetReply | undefined)[]): string | undefined {
  const ready = replies.filter((reply) => reply?.refused === "");
  if (planted("forgotten-by-two") && ready.length >= 2) return undefined;
  const refusal = replies.find((reply) => reply !== undefined && reply.refused !== "")?.refused;
  if (refusal !== undefined) return refusal;
  if (ready.length < REPLICAS) return "not all three replicas answer";
  const isSame = replies.every(
    (reply) => reply!.digest === replies[0]!.digest && reply!.names === replies[0]!.names,
  );
  return isSame ? undefined : "the replicas do not hold the same keys";
}

/**
 * What a row says about an attempt that a replica has frozen something for. lost: the row is older than the
 * attempt, so it was lost, and nobody can say.
 */
export function outcomeOf(
  row: ForgetOutcome,
  number: number,
): "committed" | "aborted" | "open" | "lost" {
  if (row.number < number) return "lost";
  // The next one begins when all three have heard how this one ended: who has not was not counted.
  if (row.number > number) return "aborted";
  if (row.outcome === Outcome.COMMITTED) return "committed";
  return row.outcome === Outcome.ABORTED ? "aborted" : "open";
}
