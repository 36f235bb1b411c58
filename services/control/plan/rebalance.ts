/** Which slots change their group so that every group has as many of each keyspace. Pure. */
import type { Slots } from "../../../protos/gen/tricampus/control/v1/slots_codec.ts";
import { SLOTS } from "../../svrkit/failover/shards.ts";
import { partsOf, rangesOf, type Span } from "./slot-map.ts";
import type { WantedMove } from "./slot-moves.ts";

/** The row that holds the moves is read whole: so many ranges in a move, and moves that wait. */
const RANGES_PER_MOVE = 32;
export const MOVES_MAX = 500;

/** A range that changes its group. */
export interface Transfer extends Span {
  readonly from: number;
  readonly to: number;
}

/** Even over `groups`, by number; who has too many gives the highest ones it has. */
export function planRebalance(
  slots: Pick<Slots, "keyspaces">,
  keyspaces: readonly number[],
  groups: readonly number[],
): Transfer[] {
  return keyspaces.flatMap((keyspace) => evenOut(slots, keyspace, groups));
}

function evenOut(
  slots: Pick<Slots, "keyspaces">,
  keyspace: number,
  groups: readonly number[],
): Transfer[] {
  const owners = new Uint8Array(SLOTS);
  for (const { first, last, group } of rangesOf(slots, keyspace))
    owners.fill(group, first, last + 1);
  const share = new Map(groups.map((group, i) => [group, shareOf(i, groups.length)]));
  const lacks = new Map(share);
  for (const owner of owners) if (lacks.has(owner)) lacks.set(owner, lacks.get(owner)! - 1);
  const transfers: Transfer[] = [];
  for (let slot = SLOTS - 1; slot >= 0; slot--) {
    const from = owners[slot]!;
    const hasEnough = (lacks.get(from) ?? -1) < 0;
    const to = groups.find((group) => lacks.get(group)! > 0);
    if (!hasEnough || to === undefined) continue;
    lacks.set(to, lacks.get(to)! - 1);
    if (lacks.has(from)) lacks.set(from, lacks.get(from)! + 1);
    const before = transfers.at(-1);
    if (before?.first === slot + 1 && before.from === from && before.to === to)
      transfers[transfers.length - 1] = { ...before, first: slot };
    else transfers.push({ keyspace, first: slot, last: slot, from, to });
  }
  return transfers.reverse();
}

function shareOf(position: number, groups: number): number {
  return Math.floor(SLOTS / groups) + (position < SLOTS % groups ? 1 : 0);
}

/** What has to move so that a group serves a whole span. */
export function transfersTo(slots: Pick<Slots, "keyspaces">, span: Span, to: number): Transfer[] {
  return partsOf(slots, span)
    .filter(({ group }) => group !== to)
    .map(({ keyspace, first, last, group }) => ({ keyspace, first, last, from: group, to }));
}

/**
 * Transfers as moves of a bounded number of keys each: while a move's last keys change hands nobody
 * serves them. `keysIn`: how many keys a slot holds.
 */
export function inMoves(
  transfers: readonly Transfer[],
  keysIn: (keyspace: number, slot: number) => number,
  keysMax: number,
): WantedMove[] {
  const moves: WantedMove[] = [];
  let keys = 0;
  for (const { keyspace, first, last, from, to } of transfers) {
    for (let slot = first; slot <= last; slot++) {
      const own = keysIn(keyspace, slot);
      const move = moves.at(-1);
      const range = move?.ranges.at(-1);
      const goesOn = range?.keyspace === keyspace && range.last === slot - 1;
      const fits =
        move?.from === from &&
        move.to === to &&
        keys + own <= keysMax &&
        (goesOn || move.ranges.length < RANGES_PER_MOVE);
      const added = { keyspace, first: slot, last: slot, group: 0 };
      if (!fits) moves.push({ ranges: [added], from, to });
      else if (goesOn) move.ranges[move.ranges.length - 1] = { ...range, last: slot };
      else move.ranges.push(added);
      keys = fits ? keys + own : own;
    }
  }
  return moves;
}
