/** The map of slots to KV groups, and how it changes. Pure. */
import type {
  KeyspaceSlots,
  SlotRange,
  Slots,
} from "../../../protos/gen/tricampus/control/v1/slots_codec.ts";
import { FIRST_GROUP, type Shard, SLOTS } from "../../svrkit/failover/shards.ts";

export const NO_SLOTS: Slots = { keyspaces: [], move: undefined, waiting: [], lastNumber: 0 };

export type Span = Pick<SlotRange, "keyspace" | "first" | "last">;

/** What other groups than the first serve. */
export function shardsOf({ keyspaces }: Pick<Slots, "keyspaces">): Shard[] {
  return keyspaces.flatMap(({ ranges }) => ranges);
}

/** Every slot of a keyspace, as ranges of one group each, in order. */
export function rangesOf({ keyspaces }: Pick<Slots, "keyspaces">, keyspace: number): SlotRange[] {
  const named = keyspaces.find((one) => one.keyspace === keyspace)?.ranges ?? [];
  const ranges: SlotRange[] = [];
  let next = 0;
  for (const range of named) {
    if (range.first > next)
      ranges.push({ keyspace, first: next, last: range.first - 1, group: FIRST_GROUP });
    ranges.push(range);
    next = range.last + 1;
  }
  if (next < SLOTS) ranges.push({ keyspace, first: next, last: SLOTS - 1, group: FIRST_GROUP });
  return ranges;
}

/** The parts of a span, by the group that serves them. */
export function partsOf(slots: Pick<Slots, "keyspaces">, span: Span): SlotRange[] {
  return rangesOf(slots, span.keyspace).flatMap((range) => {
    const first = Math.max(range.first, span.first);
    const last = Math.min(range.last, span.last);
    return first <= last ? [{ ...range, first, last }] : [];
  });
}

/** The keyspaces once these spans are served by a group; each that changes has one version more. */
export function withGroup(
  { keyspaces }: Pick<Slots, "keyspaces">,
  spans: readonly Span[],
  group: number,
): KeyspaceSlots[] {
  let next = [...keyspaces];
  for (const keyspace of new Set(spans.map((span) => span.keyspace))) {
    const before = next.find((one) => one.keyspace === keyspace);
    const own = spans.filter((span) => span.keyspace === keyspace);
    const groups = new Uint8Array(SLOTS);
    for (const range of rangesOf({ keyspaces: next }, keyspace))
      groups.fill(range.group, range.first, range.last + 1);
    for (const { first, last } of own) groups.fill(group, first, last + 1);
    const ranges = joined(keyspace, groups).filter((range) => range.group !== FIRST_GROUP);
    const after = { keyspace, version: (before?.version ?? 0) + 1, ranges };
    next = [...next.filter((one) => one !== before), after];
  }
  return next.sort((a, b) => a.keyspace - b.keyspace);
}

function joined(keyspace: number, groups: Uint8Array): SlotRange[] {
  const ranges: SlotRange[] = [];
  for (const [slot, group] of groups.entries()) {
    const before = ranges.at(-1);
    if (before?.group === group) ranges[ranges.length - 1] = { ...before, last: slot };
    else ranges.push({ keyspace, first: slot, last: slot, group });
  }
  return ranges;
}

/** "0-2047", or "17". */
export function nameOfSpan({ first, last }: Span): string {
  return first === last ? String(first) : `${first}-${last}`;
}
