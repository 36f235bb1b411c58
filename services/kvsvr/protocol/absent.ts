/**
 * Keys without a record (S5): never written, or deleted long ago and forgotten. Both are the same register,
 * at the version that their slot's floor names, with a digest made from that number: the change after it is
 * one Paxos instance at every replica, above every version that was forgotten.
 */
import { compareBallots, NO_BALLOT } from "./ballot.ts";
import { absentDigest } from "./decision.ts";
import { newestMs } from "./operations.ts";
import { EMPTY_REGISTER, isCurrent, type Register } from "./register.ts";

export interface Floor {
  /** Every version that was forgotten in the slot is below it. 0: nothing was. */
  readonly version: number;
  /** Operation ids made at or before this time (ms since 1970) may have been forgotten with their keys. */
  readonly forgottenMs: number;
}

export const NO_FLOOR: Floor = { version: 0, forgottenMs: 0 };

export function absentAt(version: number): Register {
  if (version === 0) return EMPTY_REGISTER;
  const digest = absentDigest(version);
  const known = { ...EMPTY_REGISTER.known, version, digest };
  return { ...EMPTY_REGISTER, known, heldVersion: version, heldDigest: digest };
}

/** There is nothing of it but perhaps a promise: no value that was decided, nor one that may be. */
export function isAbsent({ held, known, heldVersion, accepted, loose }: Register): boolean {
  const isNothing = held.model === "none" && known.version === heldVersion;
  return isNothing && accepted === undefined && loose.length === 0;
}

/** The register as it is behind a floor: a promise about a version that is passed is none. */
export function behindFloor(register: Register, version: number): Register {
  return register.known.version < version && isAbsent(register) ? absentAt(version) : register;
}

/** A key with nothing to be remembered of it: a listing leaves it out. */
export function isNowhere(register: Register): boolean {
  return isAbsent(register) && compareBallots(register.promised, NO_BALLOT) === 0;
}

/**
 * A tombstone's version, digest and the time of its newest operation; undefined: the register is none, or
 * the change after it may be under way.
 */
export function tombstoneOf(register: Register): Tombstone | undefined {
  const { held, known, accepted, loose } = register;
  if (held.model !== "key" || !isCurrent(register)) return undefined;
  if (accepted !== undefined || loose.length > 0) return undefined;
  const { deleted, operations } = held.decision.key;
  if (!deleted) return undefined;
  return { version: known.version, digest: known.digest, newestMs: newestMs(operations) };
}

export interface Tombstone {
  readonly version: number;
  readonly digest: number;
  /** Creation time of the newest operation id that it holds or has forgotten; 0: none. */
  readonly newestMs: number;
}
