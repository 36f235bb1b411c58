/**
 * A group of which only one replica is left (S3): a named human act forces it from that one, its keeper.
 * Epochs come in eras, and forcing begins a new one. Only the keeper's disk lives through that; every
 * other disk that hears of a later era than its own is excluded for good, and comes back as a new member.
 *
 * Until two new members are full, every majority has the keeper in it: so it alone admits, and what it
 * holds is all there is to copy. A new member votes once the keeper holds durably that it is full: then
 * the keeper knows when a majority without it becomes possible, and stops being one before.
 */
import { REPLICAS } from "./ballot.ts";

/** More than a group is ever rebuilt. */
const ERA_EPOCHS = 1_000_000;
/** New members that make a majority without the keeper. */
const FULL_MAX = 2;

export interface Keeper {
  /** The act that this replica became keeper by. */
  readonly force: string;
  /** What this replica knows of and does not hold is given up. */
  readonly settled: boolean;
  /** New members that are full. */
  readonly full: readonly { readonly replica: number; readonly diskId: string }[];
}

export function eraOf(epoch: number): number {
  return Math.floor(epoch / ERA_EPOCHS);
}

/** Two survivors that are both forced, by mistake, are in different eras: the later one excludes. */
export function forcedEpoch(epoch: number, survivor: number): number {
  const round = Math.floor(eraOf(epoch) / REPLICAS) + 1;
  return (round * REPLICAS + survivor) * ERA_EPOCHS;
}

/** A new disk takes the replica's place: what was full there is gone, and all of it is here. */
export function afterAdmission(keeper: Keeper, replica: number): Keeper {
  return { ...keeper, full: keeper.full.filter((member) => member.replica !== replica) };
}

/** undefined: this replica is one member of three again. */
export function afterCopy(keeper: Keeper, replica: number, diskId: string): Keeper | undefined {
  const full = [...afterAdmission(keeper, replica).full, { replica, diskId }];
  return full.length < FULL_MAX ? { ...keeper, full } : undefined;
}
